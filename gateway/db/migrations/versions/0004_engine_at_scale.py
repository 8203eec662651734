"""leases, arrays, and what ten thousand jobs need"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    op.add_column('attempts', sa.Column('array', sa.String(length=15), nullable=True))
    op.add_column('attempts', sa.Column('array_index', sa.Integer(), nullable=True))
    op.create_index('ix_attempts_array', 'attempts', ['array', 'array_index'])
    op.create_table(
        'leases',
        sa.Column('lane', sa.String(length=200), nullable=False),
        sa.Column('holder', sa.String(length=64), nullable=False),
        sa.Column('token', sa.BigInteger(), nullable=False),
        sa.Column('expires_at', gateway.db.columns.Moment(), nullable=False),
        sa.Column('status', sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint('lane', name=op.f('pk_leases')),
    )
    op.create_table(
        'gateways',
        sa.Column('name', sa.String(length=64), nullable=False),
        sa.Column('expires_at', gateway.db.columns.Moment(), nullable=False),
        sa.Column('used', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_gateways')),
    )


def downgrade() -> None:
    op.drop_index('ix_attempts_array', 'attempts')
    op.drop_column('attempts', 'array_index')
    op.drop_column('attempts', 'array')
    op.drop_table('gateways')
    op.drop_table('leases')
