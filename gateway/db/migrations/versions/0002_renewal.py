"""when the credentials of an attempt are renewed"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    with op.batch_alter_table('attempts') as batch:
        batch.add_column(sa.Column('renew_at', gateway.db.columns.Moment(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('attempts') as batch:
        batch.drop_column('renew_at')
