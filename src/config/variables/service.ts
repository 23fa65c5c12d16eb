import { z } from 'zod';
import { absolutePath, hostNames, port, proxies, wholeNumber } from '../kinds.js';

/** The API itself. */
export const serviceVariables = {
  JR_AUTH_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{8,512}$/, 'expected 8 to 512 printable characters without spaces')
    .optional()
    .meta({ shown: 'random, printed once', description: 'Bearer token of the API' }),
  JR_ROOT: absolutePath
    .default('/opt/jobrunner')
    .meta({ description: 'Folder that holds datasets, results, logs, database and daemon state' }),
  JR_HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:-]+$/, 'expected an address such as 0.0.0.0 or 127.0.0.1')
    .default('0.0.0.0')
    .meta({ description: 'Address the API listens on' }),
  JR_PORT: port(8080).meta({ description: 'Port the API listens on' }),
  JR_URL: z
    .url({ protocol: /^https?$/, error: 'expected an http(s) URL' })
    .optional()
    .meta({
      shown: 'the API of this machine',
      description: 'Where the `jobrunner` commands find the API',
    }),
  JR_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'expected debug, info, warn or error' })
    .default('info')
    .meta({ description: 'How much the API logs' }),
  JR_TRUSTED_PROXIES: proxies.default([]).meta({
    shown: 'none',
    description:
      'Addresses or networks of proxies, such as `127.0.0.1,10.0.0.0/8`; their X-Forwarded-For names the client',
  }),
  JR_PROXY_WAIT: wholeNumber(1, 300).default(50).meta({
    description: 'Longest `wait` of a request that came through a proxy, in seconds',
  }),
  JR_ALLOWED_HOSTS: hostNames.default([]).meta({
    shown: 'none',
    description:
      'Host names at which browsers reach the API, such as `jobs.example.com,*.example.org`; `*` = all',
  }),
};
