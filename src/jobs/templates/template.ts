import { z } from 'zod';

const use = z.enum(['required', 'optional', 'none']);

/** `template.json`: what a command takes. Its script stands beside it in `job.sh`. */
export const templateFileSchema = z.strictObject({
  description: z.string(),
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
  /** Where the template's own files are; jobs can read it. */
  folder: string;
  /** The text of `job.sh`. */
  body: string;
}
