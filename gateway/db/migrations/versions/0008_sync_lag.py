"""how far a store is behind what a job wrote"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0008'
down_revision = '0007'

COLUMNS = {
    'backlog': sa.BigInteger,
    'backlog_files': sa.BigInteger,
    'oldest_unsent': gateway.db.columns.Moment,
    'backlog_at': gateway.db.columns.Moment,
    'rescue_at': gateway.db.columns.Moment,
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column('job_stores', sa.Column(name, kind(), nullable=True))
    op.add_column('job_stores', sa.Column('behind', sa.Integer(), server_default=sa.text('0'), nullable=False))
    waiting = sa.text('rescue_at IS NOT NULL')
    op.create_index(
        'ix_job_stores_rescue', 'job_stores', ['rescue_at'], sqlite_where=waiting, postgresql_where=waiting
    )


def downgrade() -> None:
    op.drop_index('ix_job_stores_rescue', 'job_stores')
    op.drop_column('job_stores', 'behind')
    for name in COLUMNS:
        op.drop_column('job_stores', name)
