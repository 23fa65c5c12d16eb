import { parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { userSchema } from '../auth/caller.js';
import { AppError, fieldError } from '../errors.js';
import { fieldsOf, parseKnown } from '../schema-problems.js';

export const configBytes = 16 * 1024;

const id = z
  .string({ error: 'is missing' })
  .regex(
    /^[^\p{Cc}\p{Cs}\u2028\u2029]{1,128}$/u,
    'expected 1 to 128 characters, no control characters',
  );

const configSchema = z.strictObject({
  competition_id: id,
  project_id: id,
  user_id: z.string({ error: 'is missing' }).pipe(userSchema),
  expected_time: z
    .string({ error: 'is missing' })
    .regex(/^\d{1,12}(\.\d{1,6})?$/, 'expected a number of seconds such as 10')
    .transform(Number)
    .refine((seconds) => seconds > 0, 'expected more than 0 seconds'),
  /** Missing when the request has the token in its header. */
  token: z.string().min(1, 'is empty').max(512, 'is longer than 512 characters').optional(),
});

/** A user’s description of a job; `expected_time` in seconds. */
export type QueueConfig = z.infer<typeof configSchema>;

/**
 * Parses `config_file`. Every scalar keeps its text: project `007` is not 7.
 * @throws AppError bad_request naming the field; never with a value, which may be the token
 */
export function parseConfigFile(content: Buffer): QueueConfig {
  const refuse = (message: string, cause?: unknown): never => {
    throw fieldError('bad_request', 'config_file', message, { cause });
  };
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (error) {
    refuse('is not UTF-8 text', error);
  }
  const parsed = parseKnown(configSchema, readYaml(text, refuse));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.message
      : `${issue.path.join('.') || 'config_file'}: ${issue.message}`,
  );
  const details = { fields: fieldsOf(parsed.error, 'config_file') };
  throw new AppError('bad_request', problems.join('; '), { details });
}

function readYaml(text: string, refuse: (message: string, cause?: unknown) => never): unknown {
  try {
    const document = parseDocument(text, { schema: 'failsafe', merge: false, logLevel: 'silent' });
    const [fault] = document.errors;
    // The parser reports an overflow of the stack like a fault of the text.
    if (fault?.message.includes('call stack')) refuse('is nested too deeply');
    // Only the first line of the message; later lines quote the file.
    if (fault) refuse(`is not YAML: ${fault.message.split('\n')[0]?.replace(/:$/, '')}`);
    visit(document, {
      // A few lines of aliases can expand to gigabytes.
      Alias: () => refuse('YAML aliases are not allowed: write the value out'),
    });
    return document.toJS();
  } catch (error) {
    if (error instanceof RangeError) refuse('is nested too deeply');
    throw error;
  }
}
