import { expect, test } from '@jest/globals';
import { readClientConfig } from '../../src/config/client.js';
import { readConfig } from '../../src/config/config.js';
import { ConfigError } from '../../src/config/config-error.js';

/*
 * The sentences of settings that stop the start, as a person reads them; the tests of a start look
 * at the setting's name alone.
 */

test.each([
  ['JR_PORT', '80800', 'expected a whole number from 1 to 65535'],
  ['JR_MAX_TIME', 'forever', 'expected a Slurm time such as 7-00:00:00, 90 (minutes) or UNLIMITED'],
  ['JR_AUTH_TOKEN', 'short', 'expected 8 to 512 printable characters without spaces'],
  [
    'JR_TRUSTED_PROXIES',
    '1',
    'expected addresses or networks of the proxies, such as 127.0.0.1,10.0.0.0/8; a number would let every caller choose an address',
  ],
  [
    'JR_ALLOWED_HOSTS',
    'jobs.example.com:443',
    'expected host names without ports, such as jobs.example.com,*.example.org',
  ],
  ['JR_B2_ENABLE', '1', 'needs JR_B2_KEY_ID and JR_B2_APP_KEY, too'],
  ['JR_SLURMD_PORT', '8080', "port 8080 is JR_PORT's already"],
  ['JR_ROOT', 'relative', 'expected an absolute path without spaces or quotes'],
  ['JR_PROT', '8080', 'no such setting (did you mean JR_PORT?); see docs/settings.md'],
])('%s=%s: %s', (name, value, problem) => {
  const read = () => readConfig({ JR_ROOT: '/nonexistent/jr', [name]: value });
  expect(read).toThrow(new ConfigError(`${name}: ${problem}`));
});

test('the commands say which token or address they miss', () => {
  const env = { JR_ROOT: '/nonexistent/jr' };
  expect(() => readClientConfig('ftp://x', env)).toThrow(
    new ConfigError('JR_URL: expected an http(s) URL'),
  );
  expect(() => readClientConfig(undefined, env).token()).toThrow(
    new ConfigError(
      'JR_AUTH_TOKEN: not set, and there is no /nonexistent/jr/secrets/auth-token; if the service has another JR_ROOT, set the same one here',
    ),
  );
  expect(() => readClientConfig('http://jobrunner.example', env).token()).toThrow(
    new ConfigError('JR_AUTH_TOKEN: not set, and http://jobrunner.example wants its own'),
  );
});
