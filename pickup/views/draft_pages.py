"""The pages on which borders are changed: the drafts, one of them on the map, and two boundary sets beside each other.

They hold no figures of their own: everything on them comes from the addresses below `/regions/drafts/data/`, which say
once more who may do what.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import get_current_timezone_name, localdate, now
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from network import atlas
from network.models import Level, Region, RegionDraft, User
from network.views.drafts import VALUES
from network.views.regions import allow_tiles, for_staff, tile_template
from network.views.sign_in import homes_of

MAY = "network.view_regiondraft"


@for_staff(MAY)
@never_cache
def drafts_page(request: HttpRequest) -> HttpResponse:
    """All drafts and boundary sets. With `region`, the question is in which draft that region is to be changed."""
    asked = request.GET.get("region", "")[:32].replace("\x00", "")
    region = Region.objects.filter(code=asked).first() if asked else None
    return _page(request, "pickup/drafts.html", {"region": region}, {"region": region.code if region else ""})


@for_staff(MAY)
@never_cache
def draft_page(request: HttpRequest, draft_id: int) -> HttpResponse:
    draft = RegionDraft.objects.select_related("author").filter(pk=draft_id).first()
    if draft is None:
        raise Http404
    context = {"draft": draft, "levels": Level.choices, "today": localdate()}
    return _page(request, "pickup/draft.html", context, {"draft": draft.pk})


@for_staff(MAY)
@never_cache
def compare_page(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "")[:40] for name in ("a", "b", "level")}
    return _page(request, "pickup/draft_compare.html", {"levels": Level.choices, "asked": asked}, {"asked": asked})


def _page(request: HttpRequest, template: str, context: dict[str, Any], config: dict[str, Any]) -> HttpResponse:
    context["homes"] = homes_of(request.user) if isinstance(request.user, User) else []
    context["config"] = _config() | config
    response = render(request, template, context)
    allow_tiles(response)
    return response


def _config() -> dict[str, Any]:
    return {
        "data": reverse("drafts") + "data/",
        "drafts": reverse("drafts"),
        "compare": reverse("drafts-compare"),
        "map": reverse("regions"),
        "search": reverse("region-search"),
        "tiles": tile_template("region-tile"),
        "box": atlas.box_of(None, at=now()),
        "external": settings.MAP_TILES,
        "credit": settings.MAP_CREDIT,
        "zone": get_current_timezone_name(),
        "levels": {int(level): str(level.label) for level in Level},
        "statuses": {value: str(label) for value, label in RegionDraft.Status.choices},
        "kinds": {
            "changed": _("border changed"),
            "new": _("new"),
            "returned": _("in force again"),
            "renamed": _("renamed"),
            "retired": _("to be given up"),
        },
        "problems": {
            "overlap": _("Overlap"),
            "gap": _("Gap"),
            "outside": _("Outside its parent"),
            "below": _("Regions within one that ends"),
            "code": _("Name, code or place in the tree"),
            "stale": _("Somebody published a newer border"),
        },
        "ops": {
            "create": _("began the draft"),
            "draw": _("drew"),
            "reshape": _("moved the border of"),
            "split": _("split"),
            "merge": _("merged"),
            "retire": _("gave up"),
            "describe": _("renamed"),
            "snap": _("snapped"),
            "solve": _("solved a problem of"),
            "undo": _("undid"),
            "back": _("took the last edit back"),
            "rebase": _("kept the own border of"),
            "rename": _("renamed the draft"),
            "abandon": _("abandoned the draft"),
            "import": _("imported"),
            "accept": _("accepted a problem"),
            "reject": _("took an acceptance back"),
            "publish": _("published"),
        },
        "solves": "solve" in VALUES,
        "words": _words(),
    }


def _words() -> dict[str, str]:
    """What the scripts say; they have no words of their own."""
    return {
        # The map and the connection
        "map": _(
            "Map of the borders. Arrow keys move it, plus and minus zoom, Enter chooses the region in the middle."
        ),
        "zoomIn": _("Zoom in"),
        "zoomOut": _("Zoom out"),
        "attribution": _("Where the map comes from"),
        "close": _("Close"),
        "mapFailed": _("The map could not be loaded. Everything can be done by name, text and list."),
        "tooMuch": _("There is too much in this part of the map to count it now. Zoom in."),
        "signedOut": _("You are signed out. Reload the page and sign in again."),
        "offline": _("No connection. Nothing was changed; try again."),
        "failed": _("That did not work. Nothing was changed."),
        "found": _("Suggestions: %(count)s"),
        "nothing": _("No region by this name or code."),
        "nowhere": _("no region"),
        # The next step
        "begin": _("Choose the region whose border shall change, or draw a new one."),
        "beginWith": _("Say below what shall happen to %(name)s."),
        "choose": _("Choose a region"),
        "stale": _("Somebody published a newer border of %(name)s."),
        "decide": _("Decide"),
        "checking": _("Looking for overlaps and gaps …"),
        "checkFailed": _("The problems could not be looked for."),
        "checkAgain": _("Look again"),
        "problemsLeft": _("The borders do not fit yet."),
        "solve": _("%(count)s problems to solve"),
        "noProblems": _("The borders fit. Next: see what would change."),
        "previewImpact": _("Preview impact"),
        "working": _("Working out the impact …"),
        "workingOn": _("%(done)s of %(total)s addresses looked at"),
        "waiting": _("It waits for its turn …"),
        "ready": _("Everything is ready."),
        "publishFrom": _("Publish from %(from)s"),
        "publishNow": _("Publish now"),
        "publishing": _("Publishing …"),
        "mayNotPublish": _("Everything is ready. Somebody who may publish has to do the last step."),
        "isPublished": _("Published by %(by)s, in force from %(from)s."),
        "isAbandoned": _("This draft is abandoned."),
        "readOnly": _("You may look at this draft and not change it."),
        "seeMap": _("See it on the map"),
        "allDrafts": _("All drafts"),
        # Edits
        "saved": _("Saved."),
        "undone": _("Undone."),
        "solved": _("Solved."),
        "accepted": _("Accepted."),
        "changedAt": _("changed"),
        "meanwhile": _("Somebody else changed this draft meanwhile:"),
        "loadAgain": _("Load the newest state"),
        "loadedAgain": _("This is the newest state. What you were drawing is still there: save it again."),
        "publishedMeanwhile": _("%(name)s: “%(set)s” was published on %(since)s."),
        "keepMine": _("Keep my border"),
        "takeTheirs": _("Take theirs"),
        "seeProblems": _("See the problems"),
        "open": _("Open"),
        "undo": _("Undo"),
        "was": _("before: %(name)s"),
        "staleShort": _("A newer border was published meanwhile."),
        "sure": _("Really abandon it"),
        "within": _("within %(code)s"),
        "corners": _("%(count)s corners"),
        "noBorder": _("no border of its own"),
        # Tools
        "goOn": _("Go on"),
        "saveBorder": _("Save the border"),
        "corners_": _("%(count)s corners in view. Drag one."),
        "cornerHeld": _("The corner is chosen: drag it or take it away."),
        "tooManyCorners": _("%(count)s corners in view: zoom in until there are fewer than %(most)s."),
        "noCorners": _("No corner of this border is in view. Move the map to it."),
        "threeCorners": _("Three corners are the least."),
        "zoomToStick": _("Zoom in so that corners stick to the neighbours."),
        "drawFirst": _("Click where the region begins."),
        "drawMore": _("%(count)s corners. Click the first one again to close it."),
        "drawDone": _("The region is drawn. Give it a name."),
        "drawBefore": _("Draw the region first, or write its coordinates."),
        "lineFirst": _("Click outside the region, where the cut begins."),
        "lineMore": _("%(count)s corners. End it on the other side of the region."),
        "lineDone": _("The cut is drawn. Say which part keeps the code."),
        "lineBefore": _("Draw the cut first, or write its coordinates."),
        "pointTell": _("Click the part that keeps the code."),
        "mergeTell": _("Click the neighbours to merge with."),
        "merging": _("%(count)s regions become one."),
        "noNeighbours": _("There is no neighbour of this level."),
        "tickOne": _("Choose at least one neighbour."),
        "notGeoJson": _("This is not GeoJSON:"),
        "noPolygon": _("There is no polygon in it."),
        "notAPlace": _("“%(text)s” is not a longitude and a latitude."),
        "tooLongToShow": _("Too long to show here; a file can be chosen below."),
        "fileBefore": _("Choose a file first."),
        "uploading": _("The file is on its way …"),
        "reading": _("The file is being read …"),
        "imported": _("Taken over: %(taken)s. Same as before: %(same)s. Refused: %(refused)s."),
        "refusedRows": _("Refused rows"),
        "row": _("Row"),
        "field": _("Field"),
        "reason": _("Reason"),
        # Problems
        "open_": _("Still open: %(count)s."),
        "allClear": _("Nothing is open."),
        "slivers": _("%(count)s slivers are too small to matter and only listed."),
        "more": _("%(count)s more are not shown."),
        "mustSolve": _("must be solved"),
        "sliver": _("Too small to matter: only listed."),
        "acceptedBy": _("Accepted by %(by)s, %(at)s:"),
        "show": _("Show"),
        "giveTo": _("Give it to %(name)s"),
        "cutOff": _("Cut it off at the parent's border"),
        "retireToo": _("Give them up as well"),
        "snapOne": _("Snap %(name)s to its neighbours"),
        "moveOne": _("Move the border of %(name)s"),
        "accept": _("Accept …"),
        "why": _("Why may it stay?"),
        "acceptIt": _("Accept"),
        "takeBack": _("Take it back"),
        # Impact
        "staleImpact": _("The borders or the date changed since. Work it out again."),
        "parcelsMove": _("Parcels that would lie elsewhere"),
        "ofLookedAt": _("%(count)s addresses of %(days)s days looked at"),
        "pointsMove": _("Service points that change region"),
        "areaMoves": _("Ground that changes hands"),
        "agentsEnd": _("Appointments whose region ends"),
        "flows": _("Parcels from region to region"),
        "from": _("From"),
        "to": _("To"),
        "parcels": _("Parcels"),
        "isNew": _("new"),
        "byName": _("%(count)s parcels are known by the name of their region only and stay with it."),
        "fees": _("Agents' fees"),
        "agent": _("Agent"),
        "before": _("Before the change"),
        "after": _("After the change"),
        "difference": _("Change in fees"),
        "networkKeeps": _("The network keeps %(amount)s."),
        "noFees": _("No agent's fees change."),
        "points": _("Service points"),
        "point": _("Service point"),
        "region": _("Region"),
        "until": _("Appointed until"),
        "notYours": _("Parts of the preview need rights that you do not have."),
        # Publishing
        "previewFirst": _("See the impact first."),
        "summary": _("Changed: %(changed)s. New: %(fresh)s. Given up: %(ended)s."),
        "reasonBefore": _("Say why this border moves."),
        "atOnce": _("at once"),
        "created": _("New"),
        "changed": _("Changed"),
        "ended": _("Given up"),
        "pointsMoved": _("Service points moved to another region: %(count)s."),
        "pointsLater": _("Service points move when the borders come into force."),
        # The list and the comparison
        "noDrafts": _("No draft yet."),
        "noSets": _("No boundary set yet."),
        "shapes": _("%(count)s regions changed"),
        "editIn": _("Change %(name)s in this draft"),
        "bringBack": _("Bring back as a draft"),
        "bringBackName": _("Back to “%(name)s”"),
        "compareNow": _("Compare with today"),
        "inForceFrom": _("In force from"),
        "gained": _("Ground gained"),
        "lost": _("Ground lost"),
        "sameBorders": _("Both are the same."),
        "comparing": _("Comparing …"),
        "today": _("today"),
        "added": _("Added"),
        "removed": _("Removed"),
        "ground": _("Area"),
    }
