"""the catalogue of images"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0009'
down_revision = '0008'

Moment = gateway.db.columns.Moment
CText = gateway.db.columns.CText


def upgrade() -> None:
    op.create_table(
        'images',
        sa.Column('id', CText, nullable=False),
        sa.Column('digest', sa.String(length=71), nullable=True),
        sa.Column('size', sa.BigInteger(), nullable=True),
        sa.Column('media_type', sa.String(length=128), nullable=True),
        sa.Column('piece_size', sa.BigInteger(), nullable=True),
        sa.Column('pieces', sa.LargeBinary(), nullable=True),
        sa.Column('sources', sa.JSON(), nullable=False),
        sa.Column('categories', sa.JSON(), nullable=False),
        sa.Column('commands', sa.JSON(), nullable=False),
        sa.Column('summary', sa.Text(), nullable=False),
        sa.Column('architecture', sa.String(length=32), nullable=True),
        sa.Column('manifest_digest', sa.String(length=71), nullable=True),
        sa.Column('origin', sa.String(length=32), nullable=False),
        sa.Column('pinned', sa.Boolean(), nullable=False),
        sa.Column('live', sa.Boolean(), nullable=False),
        sa.Column('created_at', Moment(), nullable=False),
        sa.Column('updated_at', Moment(), nullable=False),
        sa.Column('used_at', Moment(), nullable=True),
        sa.Column('work', sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_images')),
        sa.UniqueConstraint('digest', name=op.f('uq_images_digest')),
    )
    op.create_index('ix_images_created', 'images', ['created_at', 'id'])
    op.create_table(
        'image_names',
        sa.Column('name', CText, nullable=False),
        sa.Column('image_id', CText, nullable=False),
        sa.ForeignKeyConstraint(
            ['image_id'], ['images.id'], name=op.f('fk_image_names_image_id_images'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_image_names')),
    )
    op.create_index('ix_image_names_image', 'image_names', ['image_id'])
    op.create_table(
        'image_mirrors',
        sa.Column('image_id', CText, nullable=False),
        sa.Column('url', CText, nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('region', sa.String(length=64), nullable=True),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('checked_at', Moment(), nullable=True),
        sa.Column('rate_bytes_per_s', sa.Float(), nullable=True),
        sa.Column('problem', sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ['image_id'], ['images.id'], name=op.f('fk_image_mirrors_image_id_images'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('image_id', 'url', name=op.f('pk_image_mirrors')),
    )
    op.create_table(
        'image_rates',
        sa.Column('target', sa.String(length=64), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('rate_bytes_per_s', sa.Float(), nullable=False),
        sa.Column('observed_at', Moment(), nullable=False),
        sa.PrimaryKeyConstraint('target', 'host', name=op.f('pk_image_rates')),
    )
    op.create_table(
        'image_publications',
        sa.Column('image_id', CText, nullable=False),
        sa.Column('mirror', sa.String(length=64), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('url', sa.Text(), nullable=True),
        sa.Column('problem', sa.Text(), nullable=True),
        sa.Column('tries', sa.Integer(), nullable=False),
        sa.Column('updated_at', Moment(), nullable=False),
        sa.Column('published_at', Moment(), nullable=True),
        sa.Column('checked_at', Moment(), nullable=True),
        sa.Column('path', sa.Text(), nullable=True),
        sa.Column('proof', sa.Text(), nullable=True),
        sa.Column('bytes', sa.BigInteger(), nullable=False),
        sa.Column('by', sa.String(length=128), nullable=False),
        sa.Column('holder', sa.String(length=64), nullable=True),
        sa.Column('held_until', Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ['image_id'], ['images.id'], name=op.f('fk_image_publications_image_id_images'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('image_id', 'mirror', name=op.f('pk_image_publications')),
    )
    op.create_index('ix_image_publications_open', 'image_publications', ['state', 'held_until'])
    op.create_table(
        'image_resolutions',
        sa.Column('reference', CText, nullable=False),
        sa.Column('architecture', sa.String(length=32), nullable=False),
        sa.Column('manifest_digest', sa.String(length=71), nullable=True),
        sa.Column('digest', sa.String(length=71), nullable=True),
        sa.Column('size', sa.BigInteger(), nullable=True),
        sa.Column('resolved_at', Moment(), nullable=False),
        sa.PrimaryKeyConstraint('reference', 'architecture', name=op.f('pk_image_resolutions')),
    )


def downgrade() -> None:
    for table in ('image_resolutions', 'image_publications', 'image_rates', 'image_mirrors', 'image_names', 'images'):
        op.drop_table(table)
