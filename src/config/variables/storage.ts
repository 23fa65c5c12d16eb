import { z } from 'zod';
import { absolutePath, flag } from '../kinds.js';

/** Imports from B2 or S3. */
export const storageVariables = {
  JR_B2_ENABLE: flag('0').meta({ description: 'Allow imports from B2 or S3' }),
  JR_B2_BUCKET: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$/, 'expected a bucket name')
    .optional()
    .meta({ shown: 'none', description: 'Default bucket' }),
  JR_B2_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'expected an http(s) URL' })
    .default('https://s3.us-west-004.backblazeb2.com')
    .meta({ description: 'B2 or S3 endpoint' }),
  JR_B2_REGION: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'expected a region such as us-west-004')
    .optional()
    .meta({ shown: 'from the endpoint', description: 'Region that requests are signed for' }),
  JR_B2_KEY_ID: z.string().optional().meta({ shown: 'none', description: 'Access key ID' }),
  JR_B2_APP_KEY: z.string().optional().meta({ shown: 'none', description: 'Secret key' }),
  JR_B2_MOUNT: absolutePath.default('/mnt/b2').meta({
    description:
      'Import paths under this folder name keys of the default bucket; nothing is mounted',
  }),
};
