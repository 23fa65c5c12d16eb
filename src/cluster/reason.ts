import { z } from 'zod';

/** An admin's reason to keep jobs off a GPU or a node, shown to all users. */
export const reasonSchema = z
  .string()
  .regex(
    /^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]{1,200}$/u,
    'expected 1 to 200 characters, no control characters',
  );
