'use strict'
// npm start: the chat. Open two terminals and run it in both.
//
//   npm start                       the chat
//   npm start -- --nick anna        with a name
//   npm start -- --demo             a scripted conversation, also when there is no terminal
//   npm start -- --help             the options

const { root, run } = require('./run')
const { setupOrExit } = require('./setup')

async function main() {
  const args = process.argv.slice(2)
  const isHelp = args.includes('--help') || args.includes('-h')
  if (!isHelp) await setupOrExit()
  if (args.includes('--demo') || (args.length === 0 && !process.stdin.isTTY)) {
    process.exitCode = await require('./demo').demo()
    return
  }
  if (!isHelp) console.log('The chat. Run `npm start` in another terminal to talk; /help helps.')
  process.on('SIGINT', () => {}) // the chat's own to handle
  process.exitCode = await run([process.execPath, 'scripts/chat.js', ...args], { cwd: root })
}

main()
