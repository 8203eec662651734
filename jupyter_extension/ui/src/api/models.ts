/** What stands on the wire, by the words of the design. Generated from the gateway's OpenAPI document. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Attempt = Schemas['Attempt'];
export type AttemptPage = Schemas['AttemptPage'];
export type BulkPage = Schemas['BulkPage'];
export type CaseInfo = Schemas['CaseInfo'];
export type CaseSummary = Schemas['CaseSummary'];
export type CheckedValues = Schemas['CheckedValues'];
export type CratePlan = Schemas['CratePlan'];
export type DataSeries = Schemas['DataSeries'];
export type Event = Schemas['Event'];
export type EventPage = Schemas['EventPage'];
export type FamilyInfo = Schemas['FamilyInfo'];
export type FieldProblem = Schemas['FieldProblem'];
export type Finding = Schemas['Finding'];
export type ImageSummary = Schemas['ImageSummary'];
export type Job = Schemas['Job'];
export type JobPage = Schemas['JobPage'];
export type JobRetention = Schemas['JobRetention'];
export type Me = Schemas['Me'];
export type OutputFile = Schemas['OutputFile'];
export type OutputFolder = Schemas['OutputFolder'];
export type OutputPage = Schemas['OutputPage'];
export type OutputsState = Schemas['OutputsState'];
export type ParameterInfo = Schemas['ParameterInfo'];
export type Probe = Schemas['Probe'];
export type Resources = Schemas['Resources'];
export type SeriesColumnInfo = Schemas['SeriesColumnInfo'];
export type SeriesInfo = Schemas['gateway__model__series__SeriesInfo'];
export type SeriesPage = Schemas['SeriesPage'];
export type Progress = Schemas['Progress'];
export type SeriesRows = Schemas['SeriesRows'];
export type State = Schemas['State'];
export type StoreInfo = Schemas['StoreInfo'];
export type StoreOutputs = Schemas['StoreOutputs'];
export type Sweep = Schemas['Sweep'];
export type SweepPage = Schemas['SweepPage'];
export type SweepRow = Schemas['SweepRow'];
export type SweepTable = Schemas['SweepTable'];
export type TargetInfo = Schemas['TargetInfo'];
export type TargetPage = Schemas['TargetPage'];
export type Verification = Schemas['Verification'];

/** A problem document (RFC 9457). */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail?: string;
  hint?: string;
  errors?: FieldProblem[];
}

/** What the Jupyter server says about the gateway behind it (`science-gateway/status`). */
export interface Status {
  mode: 'embedded' | 'remote';
  state: 'ready' | 'starting' | 'needs_token' | 'unreachable' | 'failed';
  message: string | null;
  hint: string | null;
  url: string | null;
  lease: 'held' | 'elsewhere' | 'none' | null;
  person: string | null;
  role: string | null;
  version: string;
  can_add_targets: boolean;
}

/** States that a job never leaves (but `lost`, which later evidence may replace). */
export const ENDED: ReadonlySet<State> = new Set<State>([
  'succeeded',
  'failed',
  'cancelled',
  'lost',
]);
