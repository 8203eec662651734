"""cases, sweeps, uploads, people

Columns are added with defaults, never by making the table anew: on SQLite that would delete what refers to its rows.
"""

from alembic import op
import sqlalchemy as sa
import gateway.db.columns

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    op.create_table('audit',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('person', sa.String(length=128), nullable=False),
    sa.Column('token', sa.String(length=36), nullable=True),
    sa.Column('request', sa.String(length=64), nullable=False),
    sa.Column('action', sa.String(length=64), nullable=False),
    sa.Column('method', sa.String(length=8), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('owner', sa.String(length=128), nullable=True),
    sa.Column('status', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.create_index('ix_audit_at', ['at', 'id'], unique=False)

    op.create_table('built_images',
    sa.Column('digest', sa.String(length=71), nullable=False),
    sa.Column('name', sa.String(length=128), nullable=False),
    sa.Column('file', sa.Text(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('recipe', sa.String(length=71), nullable=False),
    sa.Column('built_at', gateway.db.columns.Moment(), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_built_images'))
    )
    with op.batch_alter_table('built_images', schema=None) as batch_op:
        batch_op.create_index('ix_built_images_recipe', ['recipe'], unique=False)

    op.create_table('case_versions',
    sa.Column('digest', sa.String(length=71), nullable=False),
    sa.Column('name', sa.String(length=128), nullable=False),
    sa.Column('published_at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_case_versions'))
    )
    with op.batch_alter_table('case_versions', schema=None) as batch_op:
        batch_op.create_index('ix_case_versions_name', ['name', 'published_at'], unique=False)

    op.create_table('people',
    sa.Column('name', sa.String(length=128), nullable=False),
    sa.Column('role', sa.String(length=16), nullable=False),
    sa.Column('created_at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('disabled_at', gateway.db.columns.Moment(), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_people'))
    )
    op.create_table('sweeps',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('owner', sa.String(length=128), nullable=False),
    sa.Column('target', sa.String(length=64), nullable=False),
    sa.Column('case', sa.String(length=128), nullable=True),
    sa.Column('spec', sa.JSON(), nullable=False),
    sa.Column('points', sa.JSON(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('limit', sa.Integer(), nullable=True),
    sa.Column('created_at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('rerun_of', sa.String(length=36), nullable=True),
    sa.Column('cancel_requested_at', gateway.db.columns.Moment(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sweeps'))
    )
    with op.batch_alter_table('sweeps', schema=None) as batch_op:
        batch_op.create_index('ix_sweeps_owner_created', ['owner', 'created_at', 'id'], unique=False)

    op.create_table('uploads',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('owner', sa.String(length=128), nullable=False),
    sa.Column('digest', sa.String(length=71), nullable=True),
    sa.Column('size', sa.BigInteger(), nullable=True),
    sa.Column('received', sa.BigInteger(), nullable=False),
    sa.Column('created_at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('used_at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('completed_at', gateway.db.columns.Moment(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_uploads'))
    )
    with op.batch_alter_table('uploads', schema=None) as batch_op:
        batch_op.create_index('ix_uploads_owner_digest', ['owner', 'digest'], unique=False)

    op.create_table('value_sets',
    sa.Column('owner', sa.String(length=128), nullable=False),
    sa.Column('case', sa.String(length=128), nullable=False),
    sa.Column('name', sa.String(length=128), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('values', sa.JSON(), nullable=False),
    sa.Column('updated_at', gateway.db.columns.Moment(), nullable=False),
    sa.PrimaryKeyConstraint('owner', 'case', 'name', name=op.f('pk_value_sets'))
    )
    op.create_table('dependencies',
    sa.Column('job_id', sa.String(length=36), nullable=False),
    sa.Column('on_job', sa.String(length=36), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_dependencies_job_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'on_job', name=op.f('pk_dependencies'))
    )
    with op.batch_alter_table('dependencies', schema=None) as batch_op:
        batch_op.create_index('ix_dependencies_on_job', ['on_job'], unique=False)

    op.create_table('tokens',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('person', sa.String(length=128), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('hash', sa.String(length=64), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('created_at', gateway.db.columns.Moment(), nullable=False),
    sa.Column('expires_at', gateway.db.columns.Moment(), nullable=True),
    sa.Column('revoked_at', gateway.db.columns.Moment(), nullable=True),
    sa.Column('used_at', gateway.db.columns.Moment(), nullable=True),
    sa.ForeignKeyConstraint(['person'], ['people.name'], name=op.f('fk_tokens_person'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tokens')),
    sa.UniqueConstraint('hash', name=op.f('uq_tokens_hash'))
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('request', sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column('case_version', sa.String(length=71), nullable=True))
        batch_op.add_column(sa.Column('values', sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column('notes', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('lane', sa.String(length=200), server_default='', nullable=False))
        batch_op.add_column(sa.Column('hold', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('sync_requested_at', gateway.db.columns.Moment(), nullable=True))
        batch_op.add_column(sa.Column('sweep_index', sa.Integer(), nullable=True))
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('hold_sent_at', gateway.db.columns.Moment(), nullable=True))
    op.execute('UPDATE jobs SET lane = target')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_lane_state', ['lane', 'state'], unique=False)
        batch_op.create_index('ix_jobs_sweep', ['sweep', 'sweep_index'], unique=False)
        batch_op.create_index('ix_jobs_owner_ended', ['owner', 'ended_at', 'created_at', 'id'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('ix_jobs_owner_ended')
        batch_op.drop_index('ix_jobs_sweep')
        batch_op.drop_index('ix_jobs_lane_state')
        batch_op.drop_column('sweep_index')
        batch_op.drop_column('sync_requested_at')
        batch_op.drop_column('hold')
        batch_op.drop_column('lane')
        batch_op.drop_column('notes')
        batch_op.drop_column('values')
        batch_op.drop_column('case_version')
        batch_op.drop_column('request')

    op.drop_table('tokens')
    with op.batch_alter_table('dependencies', schema=None) as batch_op:
        batch_op.drop_index('ix_dependencies_on_job')

    op.drop_table('dependencies')
    op.drop_table('value_sets')
    with op.batch_alter_table('uploads', schema=None) as batch_op:
        batch_op.drop_index('ix_uploads_owner_digest')

    op.drop_table('uploads')
    with op.batch_alter_table('sweeps', schema=None) as batch_op:
        batch_op.drop_index('ix_sweeps_owner_created')

    op.drop_table('sweeps')
    op.drop_table('people')
    with op.batch_alter_table('case_versions', schema=None) as batch_op:
        batch_op.drop_index('ix_case_versions_name')

    op.drop_table('case_versions')
    with op.batch_alter_table('built_images', schema=None) as batch_op:
        batch_op.drop_index('ix_built_images_recipe')

    op.drop_table('built_images')
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.drop_index('ix_audit_at')

    op.drop_table('audit')
