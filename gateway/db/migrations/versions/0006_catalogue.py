"""search in outputs, and when they were verified"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    op.create_table(
        'signing_keys',
        sa.Column('key', sa.String(length=64), nullable=False),
        sa.Column('added_at', gateway.db.columns.Moment(), nullable=False),
        sa.PrimaryKeyConstraint('key', name=op.f('pk_signing_keys')),
    )
    op.create_table(
        'verifications',
        sa.Column('job_id', sa.String(length=36), nullable=False),
        sa.Column('store', sa.String(length=64), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('verdict', sa.String(length=16), nullable=True),
        sa.Column('holder', sa.String(length=64), nullable=False),
        sa.Column('sample', sa.BigInteger(), nullable=True),
        sa.Column('basis', sa.String(length=80), nullable=True),
        sa.Column('started_at', gateway.db.columns.Moment(), nullable=False),
        sa.Column('updated_at', gateway.db.columns.Moment(), nullable=False),
        sa.Column('ended_at', gateway.db.columns.Moment(), nullable=True),
        sa.Column('position', gateway.db.columns.CText, nullable=True),
        sa.Column('report', sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ['job_id'], ['jobs.id'], name=op.f('fk_verifications_job_id_jobs'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('job_id', 'store', name=op.f('pk_verifications')),
    )
    op.create_table(
        'verification_findings',
        sa.Column('job_id', sa.String(length=36), nullable=False),
        sa.Column('store', sa.String(length=64), nullable=False),
        sa.Column('path', gateway.db.columns.CText, nullable=False),
        sa.Column('result', sa.String(length=16), nullable=False),
        sa.Column('detail', sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ['job_id'], ['jobs.id'], name=op.f('fk_verification_findings_job_id_jobs'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('job_id', 'store', 'path', name=op.f('pk_verification_findings')),
    )
    op.add_column('job_stores', sa.Column('verdict', sa.String(length=16), nullable=True))
    op.add_column('job_stores', sa.Column('verified_at', gateway.db.columns.Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column('job_stores', 'verified_at')
    op.drop_column('job_stores', 'verdict')
    op.drop_table('verification_findings')
    op.drop_table('verifications')
    op.drop_table('signing_keys')
