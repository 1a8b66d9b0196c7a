'use strict'

/** Carries out the commands that come over IPC, as `RemoteNode#command` gives them; then is ready. */
function serve(commands, tell) {
  process.on('message', async ({ n, command, ...rest }) => {
    try {
      tell({ n, value: (await commands[command](rest)) ?? null })
    } catch (error) {
      tell({ n, error: error.stack })
    }
  })
  tell({ t: 'ready' })
}

module.exports = { serve }
