'use strict'
// Who is in the network, as they come and go, and what they say of themselves.
//
//   node example/members.js anna

const { startLocal } = require('./local')

const name = process.argv[2] ?? `guest ${process.pid}`

startLocal(
  (node) => {
    for (const event of ['join', 'leave', 'update']) {
      node.members.on(event, ({ meta, port }) => {
        console.log(`${event}: ${meta?.name}, port ${port}; ${node.members.size} are here`)
      })
    }
    // A line that is typed is a new name.
    process.stdin.unref?.()
    process.stdin.on('data', (line) => node.setMeta({ name: String(line).trim() }))
  },
  { meta: { name } },
)
