"""What the database keeps by itself is written by nobody else: these triggers run as the owner of the tables.

Their search path is pinned, so that nothing can stand in for what they name.
"""

from django.db import migrations

FUNCTIONS = ("boundaries_do_not_overlap()", "boundary_gets_its_outlines()", "point_is_counted()")

AS_OWNER = """
ALTER FUNCTION {function} SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp;
REVOKE ALL ON FUNCTION {function} FROM PUBLIC;
"""
AS_CALLER = """
ALTER FUNCTION {function} SECURITY INVOKER RESET search_path;
GRANT EXECUTE ON FUNCTION {function} TO PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("network", "0009_history")]

    operations = [
        migrations.RunSQL(AS_OWNER.format(function=function), AS_CALLER.format(function=function))
        for function in FUNCTIONS
    ]
