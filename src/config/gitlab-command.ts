import { environmentSchema, parseEnvironment } from './environment.js';

const publicGitLab = 'https://gitlab.com';

/** The settings of `jobrunner gitlab` and of the library's scanner. */
export interface GitLabCommandConfig {
  url: string;
  /** Undefined when there is none. Must never be shown. */
  token: string | undefined;
}

/**
 * Reads the GitLab and its token: from the arguments, then from `GITLAB_TOKEN`, `JR_GITLAB_TOKEN`
 * and `JR_GITLAB_URL`. The default is gitlab.com.
 * @throws ConfigError naming the problem, without the value
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
