"""What is remembered of every change: `@kept()` on a model, and the database writes its history by itself.

Each kept model has a table of events beside it, filled by triggers, so that bulk updates, commands and hands at psql
are remembered like the pages; `pgh_context` says who, where and why, as far as it was told (`network.history`). Events
are only ever added: the tables refuse update, delete and truncate. See docs/decisions/0015-history.md for what is kept,
and why the hot rows (parcels, scans, postings, codes) and the recipients never are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import pghistory
import pgtrigger
from django.contrib.gis.db.models import GeometryField
from django.db import models
from django.db.models.fields.json import KeyTextTransform

Model = TypeVar("Model", bound=type[models.Model])

ADDED, CHANGED, REMOVED, KNOWN = "added", "changed", "removed", "known"
ONLY_ADDED = (
    pgtrigger.Protect(name="only_added", operation=pgtrigger.Update | pgtrigger.Delete),
    pgtrigger.Trigger(
        name="never_emptied",
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        level=pgtrigger.Statement,
        func="RAISE EXCEPTION '% rows are only ever added, % is refused', TG_TABLE_NAME, TG_OP;",
    ),
)


class Differs(pgtrigger.AnyChange):
    """Some field differs; places are compared by their bytes.

    A backup is restored with an empty search path, where the operator for two places would not be found.
    """

    def resolve(self, model: type[models.Model]) -> str:
        told: str = super().resolve(model)
        for field in model._meta.fields:
            if isinstance(field, GeometryField):
                column = f'"{field.column}"'
                told = told.replace(
                    f"OLD.{column} IS DISTINCT FROM (NEW.{column})",
                    f"OLD.{column}::bytea IS DISTINCT FROM (NEW.{column}::bytea)",
                )
        return told


def kept(
    *trackers: pghistory.RowEvent, hidden: tuple[str, ...] = (), about: str = "", link: bool = False
) -> Callable[[Model], Model]:
    """Keep the history of a model.

    `hidden`: fields whose values are never copied, and whose changes alone make no event (secrets, personal data,
    what a hot path writes). `about`: the foreign key to what such a row belongs to, whose own page then tells of it.
    `link`: a table between two others, which has no page of its own and is shown as a change of `about`.
    """

    def keep(model: Model) -> Model:
        name = model._meta.model_name
        keys = [about + "_id"] if link else ["pgh_obj"]
        if about and not link:
            keys.append(about)
        pghistory.track(
            *(
                trackers
                or (
                    pghistory.InsertEvent(ADDED),
                    pghistory.UpdateEvent(CHANGED, condition=Differs()),
                    pghistory.DeleteEvent(REMOVED),
                )
            ),
            exclude=list(hidden),
            obj_field=None if link else pghistory.ObjForeignKey(related_name="+", db_index=False),
            context_field=pghistory.ContextJSONField(),
            context_id_field=cast(Any, None),
            app_label="network" if link or model._meta.proxy else None,
            attrs={
                "pgh_id": models.BigAutoField(primary_key=True),
                "pgh_about": about,
                "pgh_link": link,
            },
            meta={
                "default_permissions": (),
                "triggers": list(ONLY_ADDED),
                "indexes": [
                    models.Index(name=f"kept_{name}_at"[:30], fields=["pgh_created_at"]),
                    models.Index(KeyTextTransform("user", "pgh_context"), name=f"kept_{name}_by"[:30]),
                    *(
                        models.Index(name=f"kept_{name}_{number}"[:30], fields=[key.removesuffix("_id"), "pgh_id"])
                        for number, key in enumerate(keys)
                    ),
                ],
            },
        )(model)
        return model

    return keep
