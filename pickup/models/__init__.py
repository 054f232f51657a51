from pickup.models.background import Batch, JobRun
from pickup.models.cases import CaseNote, LineCase
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
from pickup.models.payouts import (
    Adjustment,
    BankDetails,
    BankFile,
    BankTemplate,
    Decision,
    Payout,
    PayoutBatch,
    PayoutStep,
)
from pickup.models.personal import PersonalDataRead
from pickup.models.previews import ImpactPreview
from pickup.models.reviews import ReviewDecision, ReviewDesk
from pickup.models.seals import SealBlock, SealedRow
from pickup.models.settlements import Settlement, Statement, StatementLine
from pickup.models.tariffs import Tariff

__all__ = [
    "MENDABLE",
    "Account",
    "Adjustment",
    "Arrival",
    "Assignment",
    "BankDetails",
    "BankFile",
    "BankTemplate",
    "Batch",
    "CaseNote",
    "DatabaseClock",
    "Decision",
    "Delegation",
    "Dispute",
    "Handover",
    "Hold",
    "ImpactPreview",
    "JobRun",
    "LineCase",
    "ManualRelease",
    "Merchant",
    "MerchantKey",
    "MessageDay",
    "Notice",
    "Order",
    "PageOpening",
    "Parcel",
    "Payout",
    "PayoutBatch",
    "PayoutStep",
    "PersonalDataRead",
    "PickupCode",
    "PickupQuestion",
    "Posting",
    "Recipient",
    "ReviewDecision",
    "ReviewDesk",
    "Scan",
    "ScoredDay",
    "SealBlock",
    "SealedRow",
    "Settlement",
    "Statement",
    "StatementLine",
    "StockCount",
    "StockCountLine",
    "Tariff",
    "Verdict",
    "WrongCodeDay",
]
