"""Work without a person waiting for it: which periods were worked on."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class JobRun(models.Model):
    """A job's work in one period. Several clocks may ring for it; one row, one effect."""

    job = models.CharField(_("job"), max_length=40)
    period = models.DateTimeField(_("beginning of the period"))
    holder = models.CharField(_("task"), max_length=40)
    taken_at = models.DateTimeField(_("taken"))
    done_at = models.DateTimeField(_("done"), null=True, blank=True)

    class Meta:
        verbose_name = _("background work")
        verbose_name_plural = _("background work")
        constraints = [models.UniqueConstraint(name="job_once_per_period", fields=["job", "period"])]

    def __str__(self) -> str:
        return f"{self.job} {self.period:%Y-%m-%d %H:%M:%S}"


class Batch(models.Model):
    """Orders that wait in a status and are worked on together until a time. The row is gone when that is done.

    One that is still there then tells which orders a killed sweep had taken up.
    """

    status = models.CharField(_("status"), max_length=10)
    order_ids = ArrayField(models.BigIntegerField(), verbose_name=_("orders"))
    until = models.DateTimeField(_("taken until"))

    class Meta:
        verbose_name = _("orders worked on together")
        verbose_name_plural = _("orders worked on together")

    def __str__(self) -> str:
        return f"{len(self.order_ids)} {self.status}"
