import { createContext, useContext } from 'react';

import type { Happenings } from './happenings';

/** A question to the person, answered with yes or no. */
export interface Question {
  title: string;
  body: string;
  yes: string;
  /** Whether it destroys something. */
  grave?: boolean;
}

/** What the widget of one job gives to its parts. */
export interface JobPlace {
  happenings: Happenings;
  confirm: (question: Question) => Promise<boolean>;
  /** The job is no more. */
  close: () => void;
}

export const JobContext = createContext<JobPlace | null>(null);

export function useJobPlace(): JobPlace {
  const place = useContext(JobContext);
  if (!place) {
    throw new Error('a part of the job view stands outside of JobContext');
  }
  return place;
}
