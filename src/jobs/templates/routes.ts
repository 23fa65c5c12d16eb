import { Router } from 'express';
import type { TemplateLibrary } from './library.js';

/** `GET /commands`: what can be run and what each takes. */
export function commandRoutes(templates: TemplateLibrary): Router {
  const router = Router();
  router.get('/', async (_req, res) => {
    const keys = await templates.keys();
    const commands = await Promise.all(keys.map((key) => templates.get(key)));
    res.json({
      commands: commands.map(
        ({ commandKey, description, dataset, command, script, args, params }) => ({
          command_key: commandKey,
          description,
          dataset,
          command,
          script,
          args,
          params,
        }),
      ),
    });
  });
  return router;
}
