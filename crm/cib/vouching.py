"""When a change may be answered "ok": on whose word it was written, and that it cannot lose.

Responsible for the warrant of the master's copy: stamping it, and letting an admin_epoch decide;
and for answering what is durable everywhere and outranked by nobody but an administrator. Not
responsible for making changes (`mastery`), nor for what a warrant is worth (`warrants`).

Theory of operation
-------------------
*A raised admin_epoch* is stamped like any change. When that is durable everywhere, the warrant
with the new `decided` goes out without a change; the answer waits until that is durable, too, and
other changes of the configuration wait with it. A master that takes over a raise which does not
decide yet stamps it first, and then does the same.

*Why nothing acknowledged is lost (I2).* Let c be an acknowledged change, made in reign R, at
version s, and d the admin_epoch there. Claim: a copy whose warrant is (d, R, s) or greater holds
c, unless its `decided` is greater and was raised without quorum. By induction over reigns:

- In one reign with one `decided` the stamped versions are one chain: only its master stamps, on
  its own copy, and it takes over another in mid-reign only before its first stamp, or where
  `decided` is greater, or where the other goes on from the same stamped version by what nobody was
  asked about. A restart begins a new reign, because the promise to the last one was durable before
  its first stamp. So
  (d, R, s') with s' >= s holds c. Changes without quorum stand on top of a stamped version and
  leave the warrant alone; so do edits of files.
- What is answered "it is so already" is stamped first as if it had been changed, so it is a c
  like any other. Only what daemons tell again at each election is not (`is_somebodys`): they see
  when it is lost, and tell it anew.
- A later reign's master stamps after every member of a quorate view has promised it and shown its
  copy. One of them had c durable, with (d, R, s) or more, since copies only give way to greater
  ones; so the master's copy is (d, R, s) or more, and holds c. An earlier master acknowledges
  nothing more: that member refuses it.
- `decided` > d, raised with quorum, in reign E. If E = R it came later in the chain of c; if
  E > R, its master held c when it began. E < R cannot be: the raise was stamped under E and
  durable at every member of a quorate view before it decided, so a member of it showed it to the
  master of R. A greater `decided` could have hidden it there, but only one of another raise
  between: the lesser would have had to be open when the greater was stamped, and a master makes
  no change while one is. So the copy c was made in had that admin_epoch already.

A snapshot cut short changes nothing. Two nodes may each have quorum alone; then the later reign
wins. What is decided without quorum outranks all this on purpose.

Source: decision 0028; the argument is Raft's, with "every member of an agreed view" in the place of
"a majority".
"""

from __future__ import annotations

from crm.api import cib as api
from crm.cib import operations
from crm.cib.disk import Disk
from crm.cib.localcopy import LocalCopy
from crm.cib.replication import Replication
from crm.cib.unanswered import Pending, Unanswered
from crm.cib.warrants import pair_of
from crm.model.version import Reign, Version


class Vouching:
    """The warrant of one reign's copy, and the answers that wait for it.

    `has_quorum` is for the one who hears of the view to set.
    """

    def __init__(
        self,
        reign: Reign,
        copy: LocalCopy,
        disk: Disk,
        following: Replication,
        unanswered: Unanswered,
    ) -> None:
        self.has_quorum = False
        self._reign = reign
        self._copy = copy
        self._disk = disk
        self._following = following
        self._unanswered = unanswered

    @property
    def is_undecided(self) -> bool:
        """Tell whether an admin_epoch was raised that does not decide yet; it must, before more."""
        copy = self._copy
        return self.has_quorum and copy.warrant.decided < copy.document.version.admin_epoch

    def proceed(self, now: float, *, is_settled: bool) -> None:
        """Do what has become possible: let a raised admin_epoch decide, answer."""
        if self.is_undecided and is_settled:
            self._vouch(now)
        self.answer(now, is_settled=is_settled)

    def stamp(self, version: Version) -> None:
        """Note on whose word the configuration was changed to this version."""
        warrant = self._copy.warrant
        if self.has_quorum:
            self._copy.warrant = warrant.with_quorum(self._reign, version)
        else:
            self._copy.warrant = warrant.without_quorum(version)

    def decide_alone(self, change: api.Change, version: Version, now: float) -> None:
        """Let an admin_epoch decide that stood open, if that is asked for without quorum."""
        is_open = self._copy.warrant.decided < version.admin_epoch
        if is_open and not self.has_quorum and operations.names(change.operations, version):
            self._copy.warrant = self._copy.warrant.deciding(version.admin_epoch)
            self._tell_warrant(now)

    def _tell_warrant(self, now: float) -> None:
        """Send the warrant, and write it."""
        self._following.flush(now, digest=self._copy.document.digest())
        self._disk.want()

    def answer(self, now: float, *, is_settled: bool) -> None:
        """Answer what is durable everywhere, and cannot lose any more, in order."""
        while (first := self._unanswered.first) is not None and self._is_durable(first.sequence):
            if self._is_vouched_for(first):
                self._unanswered.answer_first()
            elif not (is_settled and self._vouch(now)):
                return

    def _is_vouched_for(self, pending: Pending) -> bool:
        """Tell whether only an administrator's decision may outrank what is to be answered."""
        warrant = self._copy.warrant
        if not self.has_quorum:
            return warrant.decided >= pending.decides
        is_stamped = warrant.written >= pending.written and warrant.settled >= pending.reached
        return is_stamped and warrant.decided >= pending.reached[0]

    def _vouch(self, now: float) -> bool:
        """Take the next step until nothing but an administrator's decision outranks our copy.

        First it is stamped with this reign, as a change would; then, when every member has that on
        its disk, its admin_epoch decides. What is to be answered waits for that. Tells whether a
        step was taken.
        """
        copy = self._copy
        warrant, version = copy.warrant, copy.document.version
        is_stamped = warrant.written == self._reign and warrant.settled == pair_of(version)
        if self.has_quorum and not is_stamped:
            copy.warrant = warrant.with_quorum(self._reign, version)
        elif self._is_durable(self._following.configuration_sequence):
            copy.warrant = warrant.deciding(version.admin_epoch)
        else:
            return False
        self._tell_warrant(now)
        self._unanswered.postpone(self._following.configuration_sequence)
        return True

    def _is_durable(self, sequence: int) -> bool:
        mark = self._disk.durable
        here = self._disk.is_durable or (mark[0] == self._reign and mark[1] >= sequence)
        return here and not self._following.behind(self._following.members, sequence)
