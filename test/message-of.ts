/** The message of the error that `act` throws or returns. @throws Error when there is none */
export function messageOf(act: () => unknown): string {
  let result: unknown;
  try {
    result = act();
  } catch (error) {
    result = error;
  }
  if (result instanceof Error) return result.message;
  throw new Error('it was taken');
}
