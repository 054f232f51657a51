"""What an attacker could try on the books of money who runs SQL of their own through the web server or the worker.

Each attack is made in a connection of its own, as the runtime role. What the role has no right to is denied; what it
may write in honest work is refused by a rule of the database. The control takes that one rule away as the owner, and
the same attack works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import transaction
from django.utils.timezone import now
from psycopg import errors

from pickup import adjustments, bank_details, cases, ledger, payouts
from pickup.config.roles import WEB, WORKER
from pickup.models import Account, Decision, PayoutBatch, Posting, StatementLine
from tests import factories
from tests.faults.test_attacks import connected
from tests.pickup.test_settlements import close, this_month

pytestmark = pytest.mark.django_db(transaction=True)

DENIED = errors.InsufficientPrivilege
REFUSED = (errors.RestrictViolation, errors.IntegrityError, errors.RaiseException)

# A column of each, and nothing of it may be changed once it is written.
NEVER = {
    "pickup_posting": "amount_minor = 1",
    "pickup_account": "currency = 'EUR'",
    "pickup_settlement": "period = '2020-01'",
    "pickup_statement": "total_minor = 1",
    "pickup_statementline": "amount_minor = 1",
    "pickup_linecase": "opened_by_id = opened_by_id",
    "pickup_casenote": "text = 'x'",
    "pickup_bankdetails": "box = '\\x00'",
    "pickup_adjustment": "amount_minor = 1",
    "pickup_payoutbatch": "made_by_id = made_by_id",
    "pickup_bankfile": "box = '\\x00'",
    "pickup_payout": "amount_minor = 1",
    "pickup_payoutstep": "note = 'x'",
    "pickup_sealedrow": "hash = '\\x00'",
    "pickup_sealblock": "seal = '\\x00'",
    "payout_follows": "after = 'sent'",
    "pickup_settlementevent": "pgh_label = 'x'",
    "pickup_banktemplateevent": "pgh_label = 'x'",
}
EDITS = [f"UPDATE {table} SET {change}" for table, change in NEVER.items()]
REMOVALS = [f"{verb} {table}" for table in NEVER for verb in ("DELETE FROM", "TRUNCATE")]
HANDS = [f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in NEVER] + [
    "DROP TRIGGER has_its_paper ON pickup_posting",
    "ALTER TABLE pickup_payoutbatch DROP CONSTRAINT payout_batch_two_people",
    "CREATE OR REPLACE FUNCTION payout_held_by(bigint, timestamptz) RETURNS text LANGUAGE sql AS 'SELECT '''''",
    "CREATE OR REPLACE FUNCTION payable_postings(timestamptz) RETURNS SETOF pickup_posting LANGUAGE sql AS "
    "'SELECT * FROM pickup_posting'",
    "INSERT INTO payout_follows VALUES ('failed', 'sent')",
]
# What only the worker does, in its sweeps.
NOT_BY_WEB = [
    "INSERT INTO pickup_settlement (period, currency, closed_at) VALUES ('2020-01', 'CNY', now())",
    "INSERT INTO pickup_statement (settlement_id, account_id, total_minor, carried_minor) "
    "SELECT settlement_id, account_id, 1000000, 0 FROM pickup_statement",
    "INSERT INTO pickup_statementline (posting_id, statement_id, amount_minor) "
    "SELECT posting_id, statement_id, 1 FROM pickup_statementline",
    "INSERT INTO pickup_sealblock (number, last_place, head, marks, sealed_at, seal) "
    "SELECT number + 100, last_place, head, marks, sealed_at, seal FROM pickup_sealblock",
    "INSERT INTO pickup_sealedrow (place, noun, object_id, hash) "
    "SELECT place + 1000, 'posting', object_id + 1000, hash FROM pickup_sealedrow",
]
# And what only people do, at the pages.
NOT_BY_WORKER = [
    "UPDATE pickup_payoutbatch SET decision = 'approved', decided_at = now(), decided_by_id = "
    "(SELECT max(id) FROM network_user)",
    "UPDATE pickup_bankdetails SET decision = 'approved', decided_at = now(), decided_by_id = "
    "(SELECT max(id) FROM network_user) WHERE decision = ''",
    "INSERT INTO pickup_payoutbatch (currency, template_id, channel, made_by_id, decision) "
    "SELECT currency, template_id, channel, made_by_id, '' FROM pickup_payoutbatch",
    "INSERT INTO pickup_bankdetails (account_id, box, shown, made_by_id, decision, reason) "
    "SELECT account_id, box, shown, made_by_id, '', '' FROM pickup_bankdetails",
    "INSERT INTO pickup_casenote (case_id, author_id, text) SELECT id, opened_by_id, 'x' FROM pickup_linecase",
    "UPDATE pickup_banktemplate SET debtor_account = '1'",
]


@dataclass(frozen=True)
class Attack:
    """SQL that the role has the right to, the words of the rule that refuses it, and how the owner lifts the rule."""

    name: str
    sql: str
    words: str
    lifted: str
    role: str = WEB


def posted(**other: str) -> str:
    """Another posting like the shop's fee, in some columns different."""
    columns = (
        *("key", "kind", "debit_id", "debit_kind", "credit_id", "credit_kind", "amount_minor", "currency"),
        *("handover_id", "tariff_id", "reverses_id", "reason", "payable_at", "recorded_at"),
    )
    told = {"key": "'x:' || key", "recorded_at": "clock_timestamp()"} | other
    values = ", ".join(told.get(column, column) for column in columns)
    return f"""INSERT INTO pickup_posting ({", ".join(columns)}) SELECT {values} FROM pickup_posting
               WHERE kind = 'point_fee' ORDER BY id LIMIT 1"""


BACK = {
    "kind": "'reversal'",
    "debit_id": "credit_id",
    "debit_kind": "credit_kind",
    "credit_id": "debit_id",
    "credit_kind": "debit_kind",
    "reverses_id": "id",
    "reason": "'x'",
}
SIGNED = "decision = 'approved', decided_at = clock_timestamp(), decided_by_id = made_by_id"
OLD = "clock_timestamp() - interval '80 hours'"
SECOND = "(SELECT max(id) FROM network_user)"

ATTACKS = [
    Attack(
        "a second reversal",
        posted(**BACK, key="'again'"),
        "pickup_posting_reverses_id",
        "ALTER TABLE pickup_posting DROP CONSTRAINT pickup_posting_reverses_id_key",
    ),
    Attack(
        "a reversal of more",
        posted(**BACK, amount_minor="amount_minor + 1").replace("ORDER BY id", "ORDER BY id DESC"),
        "a reversal swaps",
        "ALTER TABLE pickup_posting DISABLE TRIGGER mirrors",
    ),
    Attack(
        "a fee twice",
        posted(),
        "posting_fee_once",
        "DROP INDEX posting_fee_once",
    ),
    Attack(
        "a fee without a pickup",
        posted(handover_id="NULL"),
        "posting_fee_has_its_cause",
        "ALTER TABLE pickup_posting DROP CONSTRAINT posting_fee_has_its_cause; DROP INDEX posting_fee_once",
    ),
    Attack(
        "a pickup without an arrival",
        """INSERT INTO pickup_handover (parcel_id, service_point_id, scan_id)
           SELECT p.id, p.service_point_id, (SELECT max(id) FROM pickup_scan WHERE kind = 'arrival')
           FROM pickup_parcel p WHERE status = 'expected'; SET CONSTRAINTS ALL IMMEDIATE""",
        "handover_needs_arrival",
        "ALTER TABLE pickup_handover DROP CONSTRAINT handover_needs_arrival",
    ),
    Attack(
        "a posting of last month",
        posted(recorded_at="clock_timestamp() - interval '31 days'", handover_id="NULL", kind="'adjustment'"),
        "written by the database's clock",
        "ALTER TABLE pickup_posting DISABLE TRIGGER by_the_clock; ALTER TABLE pickup_posting DISABLE TRIGGER"
        " has_its_paper; ALTER TABLE pickup_posting DROP CONSTRAINT posting_adjustment_has_reason",
    ),
    Attack(
        "money without a paper",
        posted(kind="'adjustment'", reason="'a gift'", handover_id="NULL"),
        "a paper that two people signed",
        "ALTER TABLE pickup_posting DISABLE TRIGGER has_its_paper",
    ),
    Attack(
        "a payout that no run made",
        """INSERT INTO pickup_posting (key, kind, debit_id, debit_kind, credit_id, credit_kind, amount_minor, currency,
                                       reason, payable_at)
           SELECT 'payout:0', 'payout', credit_id, credit_kind, account_of('bank', NULL, 'CNY'), 'bank', amount_minor,
                  currency, 'x', now() FROM pickup_posting WHERE kind = 'point_fee' LIMIT 1""",
        "a paper that two people signed",
        "ALTER TABLE pickup_posting DISABLE TRIGGER has_its_paper",
        role=WORKER,
    ),
    Attack(
        "a run that its maker approves",
        f"UPDATE pickup_payoutbatch SET {SIGNED}",
        "payout_batch_two_people",
        "ALTER TABLE pickup_payoutbatch DROP CONSTRAINT payout_batch_two_people",
    ),
    Attack(
        "a correction that its maker approves",
        f"UPDATE pickup_adjustment SET {SIGNED} WHERE decision = ''",
        "adjustment_two_people",
        "ALTER TABLE pickup_adjustment DROP CONSTRAINT adjustment_two_people",
    ),
    Attack(
        "a bank account that its proposer approves",
        f"UPDATE pickup_bankdetails SET {SIGNED} WHERE decision = ''",
        "bank_details_two_people",
        "ALTER TABLE pickup_bankdetails DROP CONSTRAINT bank_details_two_people",
    ),
    Attack(
        "a case that its opener decides",
        "UPDATE pickup_linecase SET outcome = 'stands', decided_at = now(), decided_by_id = opened_by_id",
        "case_two_people",
        "ALTER TABLE pickup_linecase DROP CONSTRAINT case_two_people",
    ),
    Attack(
        "a bank account that was approved long ago",
        f"UPDATE pickup_bankdetails SET decision = 'approved', decided_at = {OLD}, decided_by_id = {SECOND} "
        "WHERE decision = ''",
        "written by the database's clock",
        "ALTER TABLE pickup_bankdetails DISABLE TRIGGER by_the_clock",
    ),
    Attack(
        "a bank account that begins approved",
        f"""INSERT INTO pickup_bankdetails (account_id, box, shown, made_by_id, decision, decided_by_id, decided_at,
                                            reason)
            SELECT account_id, box, shown, made_by_id, 'approved', decided_by_id, {OLD}, ''
            FROM pickup_bankdetails WHERE decision = 'approved'""",
        "begins unsigned",
        "ALTER TABLE pickup_bankdetails DISABLE TRIGGER begins_unsigned",
    ),
    Attack(
        "another maker's name on a correction that is decided",
        "UPDATE pickup_adjustment SET decision = '', decided_at = NULL, decided_by_id = NULL WHERE decision <> ''",
        "ends once",
        "ALTER TABLE pickup_adjustment DISABLE TRIGGER only_decided",
    ),
    Attack(
        "a second payout of a statement",
        """INSERT INTO pickup_payout (batch_id, statement_id, account_id, details_id, amount_minor, currency,
                                      end_to_end_id, state)
           SELECT batch_id, statement_id, account_id, details_id, amount_minor, currency, 'another', 'draft'
           FROM pickup_payout""",
        "payout_one_of_a_statement",
        "DROP INDEX payout_one_of_a_statement",
    ),
    Attack(
        "a payout that nobody approved",
        "UPDATE pickup_payout SET state = 'approved'",
        "a second person approves first",
        "ALTER TABLE pickup_payout DISABLE TRIGGER moves_by_the_table",
        role=WORKER,
    ),
    Attack(
        "a payout that jumps",
        "UPDATE pickup_payout SET state = 'sending'",
        "does not move from",
        "ALTER TABLE pickup_payout DISABLE TRIGGER moves_by_the_table",
        role=WORKER,
    ),
    Attack(
        "one more line in a closed statement",
        """INSERT INTO pickup_statementline (posting_id, statement_id, amount_minor)
           SELECT p.id, (SELECT max(id) FROM pickup_statement), p.amount_minor FROM pickup_posting p
           WHERE kind = 'point_fee' AND NOT EXISTS (SELECT FROM pickup_statementline l WHERE l.posting_id = p.id)""",
        "takes no more lines",
        "ALTER TABLE pickup_statementline DISABLE TRIGGER closed",
        role=WORKER,
    ),
    Attack(
        "one more statement of a closed month",
        """INSERT INTO pickup_statement (settlement_id, account_id, total_minor, carried_minor)
           SELECT settlement_id, (SELECT id FROM pickup_account WHERE kind = 'network'), 1, 0 FROM pickup_statement""",
        "takes no more statements",
        "ALTER TABLE pickup_statement DISABLE TRIGGER closed",
        role=WORKER,
    ),
    Attack(
        "a line in two statements",
        """INSERT INTO pickup_statementline (posting_id, statement_id, amount_minor)
           SELECT posting_id, statement_id, amount_minor FROM pickup_statementline""",
        "pickup_statementline_pkey",
        "ALTER TABLE pickup_statementline DISABLE TRIGGER closed; "
        "ALTER TABLE pickup_statementline DROP CONSTRAINT pickup_statementline_pkey CASCADE",
        role=WORKER,
    ),
]


@pytest.fixture
def books(chain: dict[Any, Any]) -> None:
    """A closed month with its seal, a run in draft, and of everything else one that waits and one that is decided."""
    point = factories.make_point()
    scanner = factories.scanner_of(point)
    first, second = (factories.make_ready_parcel(scanner, point) for _ in range(2))
    factories.make_parcel(point)
    factories.pick_up(scanner, first)
    close(this_month())
    factories.pick_up(scanner, second)
    account = Account.objects.get(service_point=point)
    owner, maker, checker = factories.make_member(point), factories.make_user(), factories.make_user()
    factories.make_bank_details(account)
    file = PayoutBatch.Channel.FILE
    payouts.draft(currency="CNY", template=factories.make_template(), channel=file, by=maker, now=now())
    told = bank_details.Details("李四", "12345678", "银行")
    bank_details.propose(account=account, details=told, by=owner)
    rows = [adjustments.propose(account=account, amount_minor=500, reason="why", by=maker) for _ in range(2)]
    adjustments.decide(adjustment=rows[0], decision=Decision.REJECTED, by=checker, now=now())
    line = StatementLine.objects.get()
    cases.open_case(line=line, text="not mine", by=owner)
    with transaction.atomic():
        ledger.reverse(Posting.objects.get(line=line), reason="once")
    factories.seal(now=now())


def outcome(attacker: psycopg.Connection[Any], sql: str) -> str:
    """`denied`, the words of a refusal, or '' where it worked; nothing of it stays."""
    try:
        attacker.execute(sql.encode())
    except DENIED:
        return "denied"
    except REFUSED as error:
        return str(error)
    else:
        return ""
    finally:
        attacker.rollback()


@pytest.mark.parametrize("role", [WEB, WORKER])
def test_what_a_role_has_no_right_to_is_denied(books: None, role: str) -> None:
    only_one = NOT_BY_WEB if role == WEB else NOT_BY_WORKER
    with connected(role) as attacker:
        told = {sql: outcome(attacker, sql) for sql in [*EDITS, *REMOVALS, *HANDS, *only_one]}
    assert {sql: words for sql, words in told.items() if words != "denied"} == {}


def test_control_nothing_but_rights_denies_it(books: None) -> None:
    """With the guards off the owner may: no word is wrong and no table empty. Keys to other rows stand in some ways."""
    with connected(None) as owner:
        told = {}
        for sql in [*EDITS, *REMOVALS, *NOT_BY_WEB, *NOT_BY_WORKER]:
            for table in NEVER:
                owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
            told[sql] = outcome(owner, f"{sql} CASCADE" if sql.startswith("TRUNCATE") else sql)
    refused = {sql: words for sql, words in told.items() if words and "violates" not in words}
    assert refused == {}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_a_role_may_write_is_held_to_the_rules(books: None, attack: Attack) -> None:
    with connected(attack.role) as attacker:
        assert attack.words in outcome(attacker, attack.sql)
    with connected({WEB: WORKER, WORKER: WEB}[attack.role]) as other:
        assert outcome(other, attack.sql) != ""
    with connected(None) as owner:  # the control: the rule away, it works
        owner.execute(attack.lifted.encode())
        owner.execute(attack.sql.encode())
        owner.rollback()
