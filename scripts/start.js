'use strict'
// npm start: the chat of example/ChatApp. Open two terminals and run it in both.
//
//   npm start                       the chat
//   npm start -- --nick anna        with a name
//   npm start -- --demo             a scripted conversation, also when there is no terminal

const { root, run } = require('./run')
const { setupOrExit } = require('./setup')

async function main() {
  const args = process.argv.slice(2)
  await setupOrExit()
  if (args.includes('--demo') || !process.stdin.isTTY) {
    process.exitCode = await require('./demo').demo()
    return
  }
  console.log('The chat. Run `npm start` in another terminal to talk; /quit leaves.')
  process.on('SIGINT', () => {}) // the chat's own to handle
  process.exitCode = await run([process.execPath, 'example/ChatApp/peer.js', ...args], {
    cwd: root,
  })
}

main()
