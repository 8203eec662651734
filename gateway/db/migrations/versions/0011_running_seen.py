"""attempts say that their scheduler was seen to run them"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    op.add_column('attempts', sa.Column('running_at', gateway.db.columns.Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column('attempts', 'running_at')
