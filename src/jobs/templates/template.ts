import { z } from 'zod';

const use = z.enum(['required', 'optional', 'none']);

/** Schema of `template.json`, the inputs of a command; its script is `job.sh` beside it. */
export const templateFileSchema = z.strictObject({
  description: z.string({ error: 'expected a text that says what the template does' }),
  dataset: use.default('optional'),
  /** The caller's bash command line. */
  command: use.default('none'),
  /** An uploaded file. */
  script: use.default('none'),
  args: use.default('none'),
  /** JSON Schema of `params`; defaults in it are filled in. */
  params: z
    .looseObject({ type: z.literal('object') })
    .default({ type: 'object', additionalProperties: false }),
});

export type TemplateFile = z.infer<typeof templateFileSchema>;

export interface Template extends TemplateFile {
  commandKey: string;
  /** Folder of the template's own files, which jobs can read. */
  folder: string;
  /** The text of `job.sh`. */
  body: string;
}
