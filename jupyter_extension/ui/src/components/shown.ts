import { createContext, useContext } from 'react';

/** Whether the person can see this part now: what streams only to be looked at pauses meanwhile. */
export const ShownContext = createContext(true);

export function useShown(): boolean {
  return useContext(ShownContext);
}
