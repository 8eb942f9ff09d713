"""Behaviours of engine/: its requests, scheduling, lanes and versions."""
from behaviour import Behaviour

REQUESTS = [
    Behaviour(
        'admission refuses a request whose steps alone, one after another, take too long',
        'engine/requests/deadline_policy.cc',
        'return now + busy + kAdmissionMargin * std::max(before, entry.path) >',
        'return now + busy + kAdmissionMargin * before >',
        'requests_test', ('AdmissionTest.AnImagesOwnStepsCannotBeShared',)),
    Behaviour(
        'a request becomes urgent in time for its steps one after another',
        'engine/requests/deadline_policy.cc',
        '2 * busy + kUrgencyMargin * std::max(ahead, by_deadline[i].path);',
        '2 * busy + kUrgencyMargin * ahead;',
        'requests_test', ('DeadlinePolicyTest.EverythingUpToTheLastTightDeadlineIsUrgent',)),
    Behaviour(
        'what waits for its guide hurries nobody',
        'engine/requests/deadline_policy.cc',
        'if (!by_deadline[i].waits_for_lanes) continue;\n',
        '\n',
        'requests_test', ('DeadlinePolicyTest.NothingIsHurriedForAHeldPlace',)),
    Behaviour(
        'a place that is late anyway refuses no newcomer',
        'engine/requests/deadline_policy.cc',
        'if (!late_anyway) return false;',
        'if (late_anyway || true) return false;',
        'requests_test', ('DeadlinePolicyTest.AHeldPlaceIsDefendedUntilItIsLateAnyway',)),
    Behaviour(
        'the margin for encoding and sending is a tenth of a short time',
        'engine/requests/deadline_policy.cc',
        'std::min((deadline - accepted_at) / 10, absl::Milliseconds(100));',
        'std::max((deadline - accepted_at) / 10, absl::Milliseconds(100));',
        'requests_test', ('DeadlinePolicyTest.TimeIsLeftForWhatFollowsTheSteps',)),
    Behaviour(
        'steps that a lost lane had run are to be run again',
        'engine/requests/request_queue.cc',
        '  trajectory.request->steps_left += trajectory.steps_run();\n',
        '',
        'requests_test', ('RequestQueueTest.WhatStartsAgainHasAllItsStepsLeft',)),
    Behaviour(
        'steps of an image that is dropped are not left any more',
        'engine/requests/request_queue.cc',
        '  trajectory.request->steps_left -= trajectory.step + 1;\n',
        '',
        'requests_test', ('RequestQueueTest.CountsFollowStates',)),
    Behaviour(
        'one stalled step counts for twice the average at most',
        'engine/requests/step_costs.cc',
        'std::max<int64_t>(2 * absl::ToInt64Nanoseconds(*expected) / rows, 1));',
        'std::max<int64_t>(1000000 * absl::ToInt64Nanoseconds(*expected) / rows, 1));',
        'requests_test', ('StepCostsTest.OneStepThatStalledHardlyMovesTheAverage',)),
    Behaviour(
        'a batch of unmeasured size takes no longer than a larger one',
        'engine/requests/step_costs.cc',
        'return absl::Nanoseconds(row_ns) * (1 << b);',
        'return absl::Nanoseconds(row_ns) * rows;',
        'requests_test', ('StepCostsTest.UnmeasuredBucketsBorrowOnTheSafeSide',)),
    Behaviour(
        'the hint when to come back is not beyond its bounds',
        'engine/requests/admission.cc',
        'return std::clamp(needed, kMinRetryAfter, kMaxRetryAfter);',
        'return std::max(needed, kMinRetryAfter);',
        'requests_test', ('AdmissionTest.TheHintWhenToComeBackIsNeitherAtOnceNorNever',)),
    Behaviour(
        'a receiver is let go of with its last result',
        'engine/requests/result_outbox.cc',
        'if (finish) sink_.reset();',
        '',
        'requests_test', ('ResultOutboxTest.LetsTheSinkGoOnceItHasTheEnd',)),
    Behaviour(
        'previews count against the memory of the queue',
        'engine/requests/admission.cc',
        '(request.previews ? 2 * result : result)',
        'result',
        'requests_test', ('AdmissionTest.AClaimCountsImagesResultsAndTheUnpackedGuide',)),
    Behaviour(
        'one account leaves as much room in the queue as it has',
        'engine/requests/admission.cc',
        '} else if (IsShareFull(load, claim)) {',
        '} else if (IsShareFull(load, claim) && false) {',
        'requests_test', ('AdmissionTest.OneAccountLeavesAsMuchRoomAsItHas',)),
]

SCHEDULING = [
    Behaviour(
        'an urgent image is not held back for a fuller batch',
        'engine/scheduling/batch_policy.cc',
        'summary.started |= runnable[i].started || runnable[i].urgent;',
        'summary.started |= runnable[i].started;',
        'scheduling_test', ('BatchPolicyTest.WhatIsUrgentIsNotHeldBack',)),
    Behaviour(
        'a class that asks for little saves up nothing',
        'engine/scheduling/batch_policy.cc',
        'service[c] = std::max(service[c], charged[1 - c] - class_behind[c]);',
        'service[c] = charged[c] + 0 * class_behind[c];',
        'scheduling_test', ('BatchPolicyTest.WhoHasNothingLeftOverSavesUpNothing',)),
    Behaviour(
        'a caller that asks for little saves up nothing',
        'engine/scheduling/batch_policy.cc',
        '''    flow.service = std::max(
        flow.service, shares->virtual_time[ClassIndex(flow)] - flow.behind);
''',
        '',
        'scheduling_test', ('BatchPolicyTest.WhoHasNothingLeftOverSavesUpNothing',)),
    Behaviour(
        'who used what others left over owes nothing for it',
        'engine/scheduling/batch_policy.cc',
        'std::max(shares->virtual_time[c], least_waiting[c].value_or(most[c]));',
        'std::max(shares->virtual_time[c], most[c] * 0);',
        'scheduling_test', ('BatchPolicyTest.NobodyOwesForCapacityThatNobodyElseWanted',)),
    Behaviour(
        'a batch takes no more new images than its part',
        'engine/scheduling/batch_policy.cc',
        'if (new_rows >= limits.max_new_rows) return;',
        '',
        'scheduling_test', ('BatchPolicyTest.AnIdleLaneLeavesNewRowsToTheOthers',)),
    Behaviour(
        'requests of one caller follow one another by deadline',
        'engine/scheduling/batch_policy.cc',
        '''    return std::tie(requests[a].flow, requests[a].deadline, a) <
           std::tie(requests[b].flow, requests[b].deadline, b);''',
        '''    return std::tie(requests[a].flow, a) < std::tie(requests[b].flow, b);''',
        'scheduling_test', ('BatchPolicyTest.ACallersRequestsFinishOneAfterAnotherByDeadline',)),
    Behaviour(
        'flows that are idle and owe nothing are forgotten',
        'engine/scheduling/flow_table.cc',
        'if (flows_[flow].requests > 0) continue;',
        'if (flow + 1 > 0) continue;',
        'scheduling_test', ('FlowTableTest.AFlowThatOwesNothingIsForgottenWhenItHasNoRequests',)),
    Behaviour(
        'a flow that owes is remembered while there is room',
        'engine/scheduling/flow_table.cc',
        'if (owes && flows_.size() < kMaxFlows) continue;',
        'if (owes && flows_.empty()) continue;',
        'scheduling_test', ('FlowTableTest.AFlowThatOwesServiceIsRemembered',)),
    Behaviour(
        "long names of callers are cut before they are told apart",
        'engine/scheduling/flow_table.cc',
        '      request.request_class, request.caller.substr(0, kMaxCallerSize));',
        '      request.request_class, request.caller);',
        'scheduling_test', ('FlowTableTest.OfALongNameOnlyTheBeginningCounts',)),
    Behaviour(
        'a weight that changes while its caller has work counts from then on',
        'engine/scheduling/flow_table.cc',
        'if (flow.requests > 0) active_weight += weight - share.weight;',
        '',
        'scheduling_test', ('FlowTableTest.WeightsOfFlowsWithWorkAddUp',)),
    Behaviour(
        "a new version keeps its model's turn",
        'engine/scheduling/version_turns.cc',
        'last_turns_[free] = last_turns_[other];',
        'last_turns_[free] = turn_;',
        'scheduling_test', ('VersionTurnsTest.VersionsOfAModelShareItsTurn',)),
    Behaviour(
        'a batch that was halved wakes the other lanes',
        'engine/scheduling/work_in_flight.cc',
        '''      // What was put back before its first step may run anywhere.
      report->wake_lanes = true;
''',
        '',
        'scheduling_test', ('BatchSchedulerTest.AnIdleLaneWakesForWhatAFailedBatchLeaves',)),
    Behaviour(
        'a lane that goes out wakes the others for its work',
        'engine/scheduling/work_in_flight.cc',
        '''  report->queue_changed = true;
  report->wake_lanes = true;
}

void WorkInFlight::AdvanceRows(''',
        '''  report->queue_changed = true;
}

void WorkInFlight::AdvanceRows(''',
        'scheduling_test', ('BatchSchedulerTest.AnIdleLaneWakesForWhatAFailedBatchLeaves',)),
    Behaviour(
        'a lane is told which of its images will not go on',
        'engine/scheduling/work_in_flight.cc',
        'lanes_[trajectory.lane].forget.push_back(trajectory.id);',
        '',
        'scheduling_test',
        ('BatchSchedulerTest.ACancelledRequestInFlightIsForgottenAndItsStepsWaste',)),
    Behaviour(
        'traced images of a part are named as in the whole request',
        'engine/scheduling/batch_scheduler.cc',
        'taken->reserved_positions_[i] = place->reserved_positions_[positions[i]];',
        '',
        'scheduling_test', ('BatchSchedulerTest.TracedRowsOfAPartAreNamedAsInTheWholeRequest',)),
    Behaviour(
        'the step that failed runs alone next time',
        'engine/scheduling/work_in_flight.cc',
        'row->failed_step = row->step;',
        '',
        'scheduling_test', ('BatchSchedulerTest.WhatALostLaneHeldStartsAgainOnAnother',)),
    Behaviour(
        'a step that ends on a lane that was given up is waste',
        'engine/scheduling/batch_scheduler.cc',
        'report->AddWaste(WasteReason::kReplayed, self.hung_rows);',
        '',
        'scheduling_test',
        ('BatchSchedulerTest.WhatAnAbandonedLaneHeldStartsAgainElsewhereAtOnce',)),
    Behaviour(
        'a lane that hung stays out as long as one that failed',
        'engine/scheduling/batch_scheduler.cc',
        '''    self.hung_rows = static_cast<int>(self.running.size());
    self.health.GrowBackoff();
''',
        '''    self.hung_rows = static_cast<int>(self.running.size());
''',
        'scheduling_test',
        ('BatchSchedulerTest.WhatAnAbandonedLaneHeldStartsAgainElsewhereAtOnce',)),
    Behaviour(
        'an old state of the queue is not reported over a newer one',
        'engine/scheduling/batch_scheduler.cc',
        '''    report_again_ = true;
    mu_.Unlock();''',
        '''    mu_.Unlock();''',
        'scheduling_test',
        ('BatchSchedulerTest.WhatChangesDuringAReportOfTheQueueIsReportedAfterIt',)),
    Behaviour(
        'an engine that drains waits for results that another thread delivers',
        'engine/scheduling/batch_scheduler.cc',
        '  while (undelivered_ > 0) all_finished_.Wait(&mu_);\n',
        '',
        'scheduling_test', ('BatchSchedulerTest.DrainWaitsForAResultThatIsBeingDelivered',)),
    Behaviour(
        'a good step ends the growth of a back-off',
        'engine/scheduling/lane_health.cc',
        '    backoff_ = absl::ZeroDuration();\n',
        '',
        'scheduling_test', ('LaneHealthTest.ALaneStaysOutLongerEachTimeUntilAGoodStep',)),
    Behaviour(
        'a lane is not probed again at once',
        'engine/scheduling/lane_health.cc',
        'if (now < next_probe_) return Action::kGoOn;',
        '',
        'scheduling_test', ('LaneHealthTest.OutputThatIsNotFiniteAsksForAProbeNowAndThen',)),
    Behaviour(
        'places that are held count for the deadlines of others',
        'engine/scheduling/promised_deadlines.cc',
        'if (claim->deadline == absl::InfiniteFuture()) continue;',
        'if (claim->deadline <= absl::InfiniteFuture()) continue;',
        'scheduling_test', ('PromisedDeadlinesTest.EarliestDeadlinesComeFirstAndPlacesCount',)),
    Behaviour(
        'the step under way may be of a model without deadlines',
        'engine/scheduling/promised_deadlines.cc',
        'if (version != nullptr) busy_ = std::max(busy_, tick(*version));',
        'if (version == nullptr) busy_ = absl::ZeroDuration();',
        'scheduling_test', ('PromisedDeadlinesTest.TheTickUnderWayMayBeOfAnyVersionWithWork',)),
]

LANE_THREADS = [
    Behaviour(
        'the process lives while any lane serves',
        'engine/lane_threads/supervisor.cc',
        'if (state.open) none_serves_ = absl::ZeroDuration();',
        '',
        'lane_threads_test',
        ('SupervisorTest.ALaneThatHangsIsOutAfterTheStatedTimeAndItsWorkReplays',)),
    Behaviour(
        'the first batch of a size on a new runner gets the time of a recording',
        'engine/lane_threads/lane_worker.cc',
        'if (largest == largest_batch_.end() || largest->second < rows) {',
        'if (largest == largest_batch_.end() && rows < 0) {',
        'lane_threads_test',
        ('SupervisorTest.TheFirstBatchOfItsSizeOnANewRunnerGetsTheTimeOfAProbe',)),
    Behaviour(
        'a lane that serves runs a trial only now and then',
        'engine/lane_threads/lane_worker.cc',
        'if (batch.rows.empty() || owed_to_batches_ <= absl::ZeroDuration()) {',
        'if (batch.rows.empty() || true) {',
        'lane_threads_test', ('LanePoolTest.SlicesGetATenthOfABusyLane',)),
    Behaviour(
        'a new runner has made no batch yet',
        'engine/lane_threads/lane_worker.cc',
        '  largest_batch_.clear();\n',
        '',
        'lane_threads_test',
        ('SupervisorTest.TheFirstBatchOfItsSizeOnANewRunnerGetsTheTimeOfAProbe',)),
    Behaviour(
        'a thread that nobody waits for any more touches nothing',
        'engine/lane_threads/lane_worker.cc',
        'while (held_ || abandoned_) changed_.Wait(&mu_);',
        'while (held_) changed_.Wait(&mu_);',
        'lane_threads_test', ('SupervisorTest.WhatARunnerSaysWhenItsPoolIsGoneIsToldToNobody',)),
]

VERSIONS = [
    Behaviour(
        'a version whose files change begins its delays anew',
        'engine/versions/model_versions.cc',
        '    attempt.failures = 0;\n',
        '',
        'versions_test', ('ModelRegistryTest.WhatMayMendItselfIsTriedAgainLaterAndLater',)),
    Behaviour(
        'a version whose files changed while it was tried is tried again soon',
        'engine/versions/model_versions.cc',
        'now + (files_now == files ? RetryAfter(verdict.result, attempt.failures)',
        'now + (files_now == files || true ? RetryAfter(verdict.result, attempt.failures)',
        'versions_test', ('ModelRegistryTest.DamagedFilesThatChangeMeanwhileAreReadAgain',)),
    Behaviour(
        'a version that was rolled back to while it drained is not reported gone',
        'engine/versions/model_registry.cc',
        '''          entry->second.FindLoaded(identity.version) != nullptr) {
        continue;
      }''',
        '''          entry->second.FindLoaded(identity.version) != nullptr) {
      }''',
        'versions_test', ('ModelRegistryTest.AVersionThatIsLoadedAgainIsNotToldAsUnloaded',)),
    Behaviour(
        'memory of a version that drains is not free yet',
        'engine/versions/model_registry.cc',
        'for (const Draining& draining : draining_) bytes -= draining.bytes;',
        '',
        'versions_test', ('ModelRegistryTest.ALoadWaitsForRoomOrSaysThatThereIsNone',)),
    Behaviour(
        'a pin that cannot be kept on disk is not set',
        'engine/versions/model_pins.cc',
        'if (auto status = WritePins(state_dir_, pins); !status.ok()) return status;',
        'WritePins(state_dir_, pins).IgnoreError();',
        'versions_test', ('ModelRegistryTest.APinThatCannotBeKeptIsNotInForce',)),
    Behaviour(
        'a version whose files change while they are read is not taken',
        'engine/versions/version_loader.cc',
        'if (loaded.ok() && source_->Examine(model, version) != files) {',
        'if (loaded.ok() && false) {',
        'versions_test', ('ModelRegistryTest.FilesThatChangeWhileTheyAreReadAreReadAgain',)),
    Behaviour(
        'what a stop has ended speaks against no version',
        'engine/versions/version_loader.cc',
        '} else if (stopped_) {',
        '} else if (stopped_ && false) {',
        'versions_test', ('ModelRegistryTest.AStopDuringATrialIsNotHeldAgainstTheVersion',)),
    Behaviour(
        'a version without room waits for what drains',
        'engine/versions/version_lifecycle.cc',
        'if (drains) {',
        'if (drains && false) {',
        'versions_test', ('VersionLifecycle.ALoadNeedsRoom',)),
    Behaviour(
        'no version is unloaded for room that drains',
        'engine/versions/version_lifecycle.cc',
        'if (!drained_is_enough && next->bytes',
        'if (next->bytes',
        'versions_test', ('VersionLifecycle.NothingIsUnloadedWhereWhatDrainsIsEnough',)),
    Behaviour(
        'a version that takes more than its file says waits for room',
        'engine/versions/version_loader.cc',
        'verdict = room.ok() ? trial_(*loaded, live.get())',
        'verdict = room.ok() || true ? trial_(*loaded, live.get())',
        'versions_test', ('ModelRegistryTest.AVersionThatTakesMoreThanItsFileSaysWaitsForRoom',)),
    Behaviour(
        'a warm-up measures the fastest of its steps',
        'engine/versions/version_trial.cc',
        'fastest_ = std::min(fastest_, device_time);',
        'fastest_ = device_time;',
        'versions_test', ('WarmUpTest.ASizeCostsWhatTheFasterOfItsStepsTakes',)),
    Behaviour(
        'who stops listening is not called any more',
        'engine/versions/change_notifier.cc',
        '''    while (notifier_->current_ == listener_.get()) {
      notifier_->called_.Wait(&notifier_->mu_);
    }
''',
        '',
        'versions_test', ('ChangeNotifierTest.AWatchWaitsForACallThatIsUnderWay',)),
]

BEHAVIOURS = REQUESTS + SCHEDULING + LANE_THREADS + VERSIONS
