import { environmentSchema, parseEnvironment } from './environment.js';

const publicGitLab = 'https://gitlab.com';

/** What `jobrunner gitlab` and the scanner of the library need. */
export interface GitLabCommandConfig {
  url: string;
  /** Undefined when there is none. Never to be shown. */
  token: string | undefined;
}

/**
 * Which GitLab, and with which token: what is given, else `GITLAB_TOKEN`, `JR_GITLAB_TOKEN` and `JR_GITLAB_URL`, else gitlab.com.
 * @throws ConfigError naming what cannot be used, without its value
 */
export function readGitLabCommandConfig(
  given: { url?: string | undefined; token?: string | undefined },
  env: NodeJS.ProcessEnv = process.env,
): GitLabCommandConfig {
  const schema = environmentSchema.pick({ JR_GITLAB_URL: true, JR_GITLAB_TOKEN: true });
  const e = parseEnvironment(schema, env);
  return {
    url: given.url ?? e.JR_GITLAB_URL ?? publicGitLab,
    token: given.token || env['GITLAB_TOKEN'] || e.JR_GITLAB_TOKEN,
  };
}
