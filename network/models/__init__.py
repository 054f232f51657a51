from network.models.addresses import Address
from network.models.agents import Agent, Appointment, AppointmentApplication, PointProposal
from network.models.drafts import DraftAcceptance, DraftEdit, DraftShape, RegionDraft
from network.models.exports import Export
from network.models.geocoders import GeocodedPlace, GeocoderState
from network.models.maps import Outline, PointCell
from network.models.places import ConfirmedPlace
from network.models.point_applications import PointApplication
from network.models.points import (
    NOTICE_LETTERS,
    Closing,
    Device,
    Invitation,
    Membership,
    Pairing,
    Pause,
    ServicePoint,
    Size,
    VisitorNotice,
)
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
    "NOTICE_LETTERS",
    "Address",
    "Agent",
    "Appointment",
    "AppointmentApplication",
    "Boundary",
    "BoundaryOverlap",
    "BoundarySet",
    "Closing",
    "ConfirmedPlace",
    "Device",
    "DraftAcceptance",
    "DraftEdit",
    "DraftShape",
    "Export",
    "GeocodedPlace",
    "GeocoderState",
    "GroupOfUser",
    "Invitation",
    "Level",
    "Membership",
    "Outline",
    "Pairing",
    "Passkey",
    "Pause",
    "PointApplication",
    "PointCell",
    "PointProposal",
    "Region",
    "RegionAlias",
    "RegionDraft",
    "RightOfGroup",
    "RightOfUser",
    "Rights",
    "ServicePoint",
    "SignInAttempt",
    "SignInCode",
    "Size",
    "User",
    "VisitorNotice",
]
