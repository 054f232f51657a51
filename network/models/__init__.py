from network.models.addresses import Address
from network.models.agents import Agent, Appointment
from network.models.exports import Export
from network.models.maps import Outline, PointCell
from network.models.points import Device, Invitation, Membership, Pairing, Pause, ServicePoint, Size
from network.models.regions import Boundary, BoundaryOverlap, BoundarySet, Level, Region, RegionAlias
from network.models.users import (
    E164,
    GroupOfUser,
    Passkey,
    RightOfGroup,
    RightOfUser,
    Rights,
    SignInAttempt,
    SignInCode,
    User,
)

__all__ = [
    "E164",
    "Address",
    "Agent",
    "Appointment",
    "Boundary",
    "BoundaryOverlap",
    "BoundarySet",
    "Device",
    "Export",
    "GroupOfUser",
    "Invitation",
    "Level",
    "Membership",
    "Outline",
    "Pairing",
    "Passkey",
    "Pause",
    "PointCell",
    "Region",
    "RegionAlias",
    "RightOfGroup",
    "RightOfUser",
    "Rights",
    "ServicePoint",
    "SignInAttempt",
    "SignInCode",
    "Size",
    "User",
]
