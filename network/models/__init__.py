from network.models.addresses import Address
from network.models.agents import Agent, Appointment
from network.models.drafts import DraftAcceptance, DraftEdit, DraftShape, RegionDraft
from network.models.maps import Outline, PointCell
from network.models.points import Device, Invitation, Membership, Pairing, Pause, ServicePoint, Size
from network.models.regions import Boundary, BoundaryOverlap, BoundarySet, Level, Region, RegionAlias
from network.models.users import E164, SignInAttempt, SignInCode, User

__all__ = [
    "E164",
    "Address",
    "Agent",
    "Appointment",
    "Boundary",
    "BoundaryOverlap",
    "BoundarySet",
    "Device",
    "DraftAcceptance",
    "DraftEdit",
    "DraftShape",
    "Invitation",
    "Level",
    "Membership",
    "Outline",
    "Pairing",
    "Pause",
    "PointCell",
    "Region",
    "RegionAlias",
    "RegionDraft",
    "ServicePoint",
    "SignInAttempt",
    "SignInCode",
    "Size",
    "User",
]
