"""The impact preview of a draft of borders, and its publishing, as JSON for the editor's script."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from network import boundaries, history, publishing
from network.clock import now
from network.models import RegionDraft
from network.views.drafts import (
    Refused,
    answer,
    body_of,
    draft_as_json,
    editor_of,
    for_editors,
    moment,
    problem_as_json,
    regions_told,
    text,
    whole_number,
)
from pickup import ledger, preview, tasks
from pickup.models import ImpactPreview


@for_editors(get=None, post="network.view_regiondraft")
def draft_preview(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Ask what a draft would change; a large one is worked out by a sweep, and the answer tells where to look."""
    told, at = body_of(request), now()
    since = moment(told.get("from"), "from")
    if since is not None and since <= at:
        raise Refused(422, "refused", _("a border never moves in the past"), field="from")
    draft = RegionDraft.objects.get(pk=draft_id)
    row = preview.ask(draft, version=whole_number(told, "version"), since=since, by=editor_of(request), now=at)
    if row.status in (ImpactPreview.Status.WAITING, ImpactPreview.Status.RUNNING):
        tasks.ring(tasks.preview_drafts)
    return _told(request, row)


@for_editors()
def draft_preview_state(request: HttpRequest, draft_id: int, preview_id: int) -> HttpResponse:
    row = ImpactPreview.objects.select_related("draft").filter(pk=preview_id, draft_id=draft_id).first()
    if row is None:
        raise Refused(404, "not_found", _("there is no such preview"))
    return _told(request, row, is_asked_again=True)


def _told(request: HttpRequest, row: ImpactPreview, *, is_asked_again: bool = False) -> HttpResponse:
    waits = row.status in (ImpactPreview.Status.WAITING, ImpactPreview.Status.RUNNING)
    draft = RegionDraft.objects.get(pk=row.draft_id)
    body = {
        "id": row.pk,
        "url": reverse("draft-preview-state", args=[row.draft_id, row.pk]),
        "status": row.status,
        "done": row.done,
        "total": row.total,
        "message": row.message,
        "version": row.version,
        "from": None if row.is_now else row.since,
        "current": draft.drawn == row.drawn,
        "result": None if row.result is None else _result(request, row.result),
    }
    return answer(body, status=202 if waits and not is_asked_again else 200)


def _result(request: HttpRequest, result: dict[str, Any]) -> dict[str, Any]:
    """The parts that this person may see, with addresses of pages and amounts as people write them."""
    rights = {
        "parcels": "pickup.view_parcel",
        "points": "network.view_servicepoint",
        "fees": "pickup.view_posting",
        "appointments": "network.view_appointment",
    }
    told = {**result, **{part: None for part, right in rights.items() if not request.user.has_perm(right)}}
    if told["parcels"] is not None:
        sample = [row | {"url": reverse("why", args=[row["barcode"]])} for row in told["parcels"]["sample"]]
        told["parcels"] = told["parcels"] | {"sample": sample}
    if told["fees"] is not None:
        currency = told["fees"]["currency"]
        agents = [
            row | {"written": {name: ledger.written(row[f"{name}_minor"], currency) for name in AMOUNTS}}
            for row in told["fees"]["agents"]
        ]
        told["fees"] = told["fees"] | {"agents": agents}
    return told


AMOUNTS = ("paid", "would", "difference")


@for_editors(get=None, post="network.publish_regiondraft")
def draft_publish(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Bring a draft into force, after a preview of the very shapes that it has."""
    told, at = body_of(request), now()
    since, version = moment(told.get("from"), "from"), whole_number(told, "version")
    name = text(told, "name") if told.get("name") is not None else ""
    reason = text(told, "reason") if told.get("reason") is not None else ""
    draft = RegionDraft.objects.get(pk=draft_id)
    if draft.status == RegionDraft.Status.OPEN and draft.version == version:
        _refuse_unseen(draft, told, since)
    user = editor_of(request)
    history.because(reason)
    try:
        done = publishing.publish(draft_id, version=version, since=since, by=user, now=at, name=name, reason=reason)
    except publishing.InThePast as past:
        raise Refused(422, "refused", _("a border never moves in the past"), field="from") from past
    except publishing.NothingDrawn as nothing:
        raise Refused(422, "refused", _("the draft changes nothing"), field="draft") from nothing
    except publishing.BaseChanged as changed:
        words = _("somebody else published regions of this draft since they were taken into it")
        raise Refused(409, "base_changed", words, regions=regions_told(changed.shapes)) from changed
    except publishing.ProblemsOpen as unsolved:
        rows = [problem_as_json(unsolved.found, one, geometry=False) for one in unsolved.found.open[:100]]
        words = _("problems must be solved or accepted first: %s") % len(unsolved.found.open)
        raise Refused(409, "problems_open", words, problems=rows, open=len(unsolved.found.open)) from unsolved
    except boundaries.Busy as busy:
        raise Refused(409, "busy", str(busy)) from busy
    except boundaries.PublishRefused as refused:
        raise Refused(422, "refused", str(refused), field="draft") from refused
    published = done.published
    assert published.boundary_set is not None, "what is published has a set"
    fresh = RegionDraft.objects.select_related("author", "published_by", "boundary_set").get(pk=draft_id)
    return answer(
        {
            "draft": draft_as_json(fresh, user),
            "boundary_set": {
                "id": published.boundary_set.pk,
                "name": published.boundary_set.name,
                "valid_from": published.boundary_set.valid_from,
            },
            "created": published.created,
            "changed": published.changed,
            "ended": published.ended,
            "slivers": published.slivers,
            "moved_points": done.moved_points,
        }
    )


def _refuse_unseen(draft: RegionDraft, told: dict[str, Any], since: Any) -> None:
    """Nobody publishes what nobody looked at. Raises Refused."""
    seen = ImpactPreview.objects.filter(draft=draft, drawn=draft.drawn, status="done")
    preview_id = told.get("preview")
    if isinstance(preview_id, int) and not isinstance(preview_id, bool) and 0 < preview_id < 2**63:
        seen = seen.filter(pk=preview_id)
        if seen.filter(is_now=True).exists() if since is None else seen.filter(since=since).exists():
            return
    raise Refused(409, "preview_needed", _("look at the impact preview of this version and date first"))
