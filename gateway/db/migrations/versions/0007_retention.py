"""retention"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0007'
down_revision = '0006'

Moment = gateway.db.columns.Moment


def upgrade() -> None:
    op.add_column('outputs', sa.Column('going', sa.String(length=8), nullable=True))
    op.add_column('outputs', sa.Column('tier', sa.String(length=32), nullable=True))
    op.create_table(
        'retention_works',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('job_id', sa.String(length=36), nullable=False),
        sa.Column('store', sa.String(length=64), nullable=False),
        sa.Column('rule', sa.String(length=64), nullable=False),
        sa.Column('basis', sa.String(length=64), nullable=False),
        sa.Column('action', sa.String(length=8), nullable=False),
        sa.Column('tier', sa.String(length=32), nullable=True),
        sa.Column('keep', sa.JSON(), nullable=False),
        sa.Column('by', sa.String(length=128), nullable=False),
        sa.Column('created_at', Moment(), nullable=False),
        sa.Column('position', gateway.db.columns.CText, nullable=False),
        sa.Column('count', sa.BigInteger(), nullable=False),
        sa.Column('bytes', sa.BigInteger(), nullable=False),
        sa.Column('problem', sa.Text(), nullable=True),
        sa.Column('tries', sa.Integer(), nullable=False),
        sa.Column('holder', sa.String(length=64), nullable=True),
        sa.Column('held_until', Moment(), nullable=True),
        sa.Column('done_at', Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ['job_id'], ['jobs.id'], name=op.f('fk_retention_works_job_id_jobs'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_retention_works')),
    )
    op.create_index('ix_retention_works_job', 'retention_works', ['job_id', 'store'])
    op.create_index('ix_retention_works_done', 'retention_works', ['done_at', 'created_at'])
    op.create_table(
        'retention_holds',
        sa.Column('job_id', sa.String(length=36), nullable=False),
        sa.Column('kind', sa.String(length=8), nullable=False),
        sa.Column('by', sa.String(length=128), nullable=False),
        sa.Column('at', Moment(), nullable=False),
        sa.Column('why', sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ['job_id'], ['jobs.id'], name=op.f('fk_retention_holds_job_id_jobs'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('job_id', 'kind', name=op.f('pk_retention_holds')),
    )
    op.create_table(
        'retention_rules',
        sa.Column('job_id', sa.String(length=36), nullable=False),
        sa.Column('rule', sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ['job_id'], ['jobs.id'], name=op.f('fk_retention_rules_job_id_jobs'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('job_id', name=op.f('pk_retention_rules')),
    )
    op.create_table(
        'cleanings',
        sa.Column('job_id', sa.String(length=36), nullable=False),
        sa.Column('lane', sa.String(length=200), nullable=False),
        sa.Column('job_folder', sa.Text(), nullable=False),
        sa.Column('control_folder', sa.Text(), nullable=False),
        sa.Column('asked_at', Moment(), nullable=False),
        sa.Column('tries', sa.Integer(), nullable=False),
        sa.Column('problem', sa.Text(), nullable=True),
        sa.Column('done_at', Moment(), nullable=True),
        sa.PrimaryKeyConstraint('job_id', name=op.f('pk_cleanings')),
    )
    op.create_index('ix_cleanings_lane', 'cleanings', ['lane', 'done_at', 'asked_at'])


def downgrade() -> None:
    for name in ('cleanings', 'retention_rules', 'retention_holds', 'retention_works'):
        op.drop_table(name)
    op.drop_column('outputs', 'tier')
    op.drop_column('outputs', 'going')
