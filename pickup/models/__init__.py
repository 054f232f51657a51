from pickup.models.ledger import Account, Posting
from pickup.models.orders import Assignment, Merchant, MerchantKey, Order, Recipient
from pickup.models.parcels import (
    MENDABLE,
    Arrival,
    DatabaseClock,
    Handover,
    Notice,
    Parcel,
    PickupCode,
    Scan,
    Verdict,
    WrongCodeDay,
)
from pickup.models.settlements import Settlement, Statement, StatementLine
from pickup.models.tariffs import Tariff

__all__ = [
    "MENDABLE",
    "Account",
    "Arrival",
    "Assignment",
    "DatabaseClock",
    "Handover",
    "Merchant",
    "MerchantKey",
    "Notice",
    "Order",
    "Parcel",
    "PickupCode",
    "Posting",
    "Recipient",
    "Scan",
    "Settlement",
    "Statement",
    "StatementLine",
    "Tariff",
    "Verdict",
    "WrongCodeDay",
]
