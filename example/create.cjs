'use strict'

// Prints the error of a node that cannot be created, or {}.

try {
  require('smokesignal').createNode({ address: '127.0.0.1' })
  console.log('{}')
} catch ({ code, message, cause }) {
  console.log(JSON.stringify({ code, message, cause: cause?.code }))
}
