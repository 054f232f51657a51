from network.models.addresses import Address
from network.models.agents import Agent, Appointment, AppointmentApplication, PointProposal
from network.models.maps import Outline, PointCell
from network.models.points import Device, Invitation, Membership, Pairing, Pause, ServicePoint, Size
from network.models.regions import Boundary, BoundaryOverlap, BoundarySet, Level, Region, RegionAlias
from network.models.users import E164, SignInAttempt, SignInCode, User

__all__ = [
    "E164",
    "Address",
    "Agent",
    "Appointment",
    "AppointmentApplication",
    "Boundary",
    "BoundaryOverlap",
    "BoundarySet",
    "Device",
    "Invitation",
    "Level",
    "Membership",
    "Outline",
    "Pairing",
    "Pause",
    "PointCell",
    "PointProposal",
    "Region",
    "RegionAlias",
    "ServicePoint",
    "SignInAttempt",
    "SignInCode",
    "Size",
    "User",
]
