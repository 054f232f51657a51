from pickup.models.background import JobRun
from pickup.models.flags import Hold, PageOpening, PickupQuestion, ScoredDay
from pickup.models.ledger import Account, Posting
from pickup.models.orders import Assignment, Merchant, MerchantKey, Order, Recipient
from pickup.models.parcels import (
    MENDABLE,
    Arrival,
    DatabaseClock,
    Delegation,
    Dispute,
    Handover,
    ManualRelease,
    MessageDay,
    Notice,
    Parcel,
    PickupCode,
    Scan,
    StockCount,
    StockCountLine,
    Verdict,
    WrongCodeDay,
)
from pickup.models.personal import PersonalDataRead
from pickup.models.previews import ImpactPreview
from pickup.models.reviews import ReviewDecision, ReviewDesk
from pickup.models.settlements import Settlement, Statement, StatementLine
from pickup.models.tariffs import Tariff

__all__ = [
    "MENDABLE",
    "Account",
    "Arrival",
    "Assignment",
    "DatabaseClock",
    "Delegation",
    "Dispute",
    "Handover",
    "Hold",
    "ImpactPreview",
    "JobRun",
    "ManualRelease",
    "Merchant",
    "MerchantKey",
    "MessageDay",
    "Notice",
    "Order",
    "PageOpening",
    "Parcel",
    "PersonalDataRead",
    "PickupCode",
    "PickupQuestion",
    "Posting",
    "Recipient",
    "ReviewDecision",
    "ReviewDesk",
    "Scan",
    "ScoredDay",
    "Settlement",
    "Statement",
    "StatementLine",
    "StockCount",
    "StockCountLine",
    "Tariff",
    "Verdict",
    "WrongCodeDay",
]
