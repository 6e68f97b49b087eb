// SPDX-License-Identifier: Apache-2.0
// Reads lines of {"policies", "boundary", "requests": [[action, resource, context]]} as JSON, and answers each with a line:
// a list that has true, false, or an error's text for each request. Runs where @cloud-copilot/iam-simulate is installed.
const { createInterface } = require('node:readline')
const { createRequire } = require('node:module')
const { runUnsafeSimulation } = createRequire(process.cwd() + '/')('@cloud-copilot/iam-simulate')

const account = '111122223333'

function answer(policies, boundary, [action, resource, context]) {
  try {
    const result = runUnsafeSimulation({
      identityPolicies: policies.map((policy) => ({ name: 'own', policy })),
      permissionBoundaryPolicies: boundary ? [{ name: 'boundary', policy: boundary }] : undefined,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      request: {
        action,
        principal: `arn:aws:iam::${account}:user/alice`,
        resource: { resource, accountId: account },
        contextVariables: context
      }
    }, {})
    return result === 'Allowed'
  } catch (error) {
    return String(error)
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { policies, boundary, requests } = JSON.parse(line)
  console.log(JSON.stringify(requests.map((each) => answer(policies, boundary, each))))
})
