"""the libraries of scripts, once each"""

from alembic import op
import sqlalchemy as sa

revision = '0005'
down_revision = '0004'

INDICES = {
    'ix_jobs_owner_state': ['owner', 'state', 'created_at', 'id'],
    'ix_jobs_owner_target': ['owner', 'target', 'created_at', 'id'],
    'ix_jobs_owner_case': ['owner', 'case', 'created_at', 'id'],
    'ix_jobs_owner_name': ['owner', 'name', 'created_at', 'id'],
    'ix_jobs_owner_started': ['owner', 'started_at', 'created_at', 'id'],
    'ix_jobs_owner_sweep_index': ['owner', 'sweep_index', 'created_at', 'id'],
    'ix_jobs_state_target': ['state', 'target'],
}


def upgrade() -> None:
    op.create_table(
        'script_libraries',
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('digest', name=op.f('pk_script_libraries')),
    )
    for name, columns in INDICES.items():
        op.create_index(name, 'jobs', columns)


def downgrade() -> None:
    for name in INDICES:
        op.drop_index(name, 'jobs')
    op.drop_table('script_libraries')
