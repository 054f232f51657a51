from pickup.models.background import Batch, JobRun
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
    "Batch",
    "DatabaseClock",
    "Delegation",
    "Dispute",
    "Handover",
    "ImpactPreview",
    "JobRun",
    "ManualRelease",
    "Merchant",
    "MerchantKey",
    "MessageDay",
    "Notice",
    "Order",
    "Parcel",
    "PersonalDataRead",
    "PickupCode",
    "Posting",
    "Recipient",
    "ReviewDecision",
    "ReviewDesk",
    "Scan",
    "Settlement",
    "Statement",
    "StatementLine",
    "StockCount",
    "StockCountLine",
    "Tariff",
    "Verdict",
    "WrongCodeDay",
]
