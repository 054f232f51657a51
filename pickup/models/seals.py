"""The seal on the books: rows about money in one chain of hashes, in blocks that a key outside the database seals."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class SealedRow(models.Model):
    """A link of the chain: the hash of the link before it and of the row that it stands for, as it was then.

    `noun` is a key of `pickup.seals.NOUNS`, `object_id` the row's key there. Places have no gaps.
    """

    place = models.BigIntegerField(_("place"), primary_key=True)
    noun = models.CharField(_("what"), max_length=10)
    object_id = models.BigIntegerField(_("number"))
    hash = models.BinaryField(_("hash"), max_length=32)

    class Meta:
        verbose_name = _("sealed row")
        verbose_name_plural = _("sealed rows")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(name="sealed_once", fields=["noun", "object_id"])]

    def __str__(self) -> str:
        return f"{self.place}: {self.noun} {self.object_id}"


class SealBlock(models.Model):
    """The chain up to `last_place`, sealed. Block 0 is the beginning: no row, and a head of random bytes.

    `head` is the hash of the last link, `seal` is made of it, of the block before and of a key that the database does
    not have. `marks`: for each noun the highest number that had come by then.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    last_place = models.BigIntegerField(_("last place"))
    head = models.BinaryField(_("head"), max_length=32)
    marks = models.JSONField(_("marks"))
    sealed_at = models.DateTimeField(_("sealed"))
    seal = models.BinaryField(_("seal"), max_length=32)

    class Meta:
        verbose_name = _("sealed block")
        verbose_name_plural = _("sealed blocks")
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(name="seal_block_number", condition=Q(number__gte=0, last_place__gte=0))]

    def __str__(self) -> str:
        return f"{self.number}"
