"""Behaviours of server/: who may call, calls, connections, models, telemetry."""
from behaviour import Behaviour

ACCESS = [
    Behaviour(
        'a call for more images than a minute has is admitted when the allowance is full',
        'server/access/tenant_quotas.cc',
        'const double needed = std::min<double>(count, bucket);',
        'const double needed = static_cast<double>(count);',
        'server_unit_test', ('DecideQuotaTest.ACallForMoreThanAMinuteHasIsPaidForAfterwards',)),
    Behaviour(
        'a caller that comes when it was told to is not refused for a rounding',
        'server/access/tenant_quotas.cc',
        'if (decision.use.allowance < needed - 1e-6) {',
        'if (decision.use.allowance < needed) {',
        'server_unit_test', ('DecideQuotaTest.WhoComesWhenToldToIsAdmitted',)),
    Behaviour(
        'a call that the engine did not take costs nothing of the minute',
        'server/calls/call_lifetime.cc',
        'if (quota.has_value() && !acceptance_.has_value()) quota->Refund();',
        '',
        'secured_server_test', ('SecuredServerTest.WhatTheEngineRefusesCostsNoQuota',)),
    Behaviour(
        'an expired token is refused at its moment',
        'server/access/access_control.cc',
        'if (token->expires <= now) {',
        'if (token->expires < now) {',
        'server_unit_test', ('DecideAccessTest.ATokenEndsAtItsTime',)),
    Behaviour(
        'what is wrong with a token file does not quote it',
        'server/access/token_table.cc',
        'if (!file.ok()) return Wrong("the file", "one JSON value, no key twice");',
        'if (!file.ok()) return file.status();',
        'server_unit_test', ('TokenTableTest.NeverShowsWhatMayBeATokenInTheWrongPlace',)),
    Behaviour(
        'a token of any size is not hashed',
        'server/access/token_table.cc',
        'if (token.empty() || token.size() > kMaxTokenSize) return nullptr;',
        'if (token.empty()) return nullptr;',
        'server_unit_test', ('TokenTableTest.ATokenHasAtMostItsLargestSize',)),
    Behaviour(
        'files that are being written are not refused at the first look',
        'server/access/file_reload.cc',
        'const bool seen_before = bad_.has_value() && *bad_ == found;',
        'const bool seen_before = true;',
        'server_unit_test', ('FileReloadTest.WhatIsBadForAMomentIsNobodysBusiness',)),
    Behaviour(
        'files that went back to what is in force are not refused any more',
        'server/access/file_reload.cc',
        '''    if (*found == in_force_) {
      bad_.reset();
      refused_ = false;''',
        '''    if (*found == in_force_) {
      bad_.reset();''',
        'server_unit_test', ('FileReloadTest.IsRefusedUntilSomethingGoodIsFound',)),
    Behaviour(
        'a malformed trace state is not passed on',
        'server/access/trace_context.cc',
        'if (IsTraceState(state)) trace.state = std::move(state);',
        'trace.state = std::move(state);',
        'server_unit_test', ('TraceContextTest.DropsAStateThatIsNone',)),
]

CALLS = [
    Behaviour(
        'who is refused for want of room is told when to come back',
        'server/calls/grpc_status.cc',
        'RetryAfter(status).value_or(kRetryPushback);',
        'kRetryPushback;',
        'secured_server_test', ('SecuredServerTest.AQuotaThatIsUsedUpSaysWhenToComeBack',)),
    Behaviour(
        'a call that is cancelled during Submit is cancelled in the engine',
        'server/calls/call_lifetime.cc',
        'if (abandoned_meanwhile) parts_.engine->Cancel(acceptance->id);',
        'if (abandoned_meanwhile) static_cast<void>(acceptance->id);',
        'server_unit_test', ('CallLifetimeTest.ACallCancelledDuringItsSubmissionIsCancelledByIt',)),
    Behaviour(
        'an image that was written gives back its bytes',
        'server/calls/generate_stream_reactor.cc',
        'if (ok && writing_.has_image()) ForgetImage();',
        '',
        'server_test', ('GenerationCallTest.AnImageOfAStreamThatIsReadGivesItsBytesBack',)),
    Behaviour(
        'a reply that is smaller than was booked gives back the rest',
        'server/calls/generate_reactor.cc',
        '''    // The message, and what gRPC makes of it.
    ShrinkReply(reply_size().fixed +
                2 * static_cast<int64_t>(response_->ByteSizeLong()));
''',
        '',
        'server_test', ('GenerationCallTest.AReplyThatTurnsOutSmallerHoldsNoMoreThanItIs',)),
    Behaviour(
        'a call that was cancelled as its deadline came ends by the deadline',
        'server/calls/call_lifetime.cc',
        'return age >= 0.98 * limit - kTransit;',
        'return age >= limit + 0 * kTransit;',
        'server_unit_test', ('CallLifetimeTest.ACallCancelledCloseToItsDeadlineIsOutOfTime',)),
    Behaviour(
        'images of a call whose deadline has passed are not encoded',
        'server/calls/call_lifetime.cc',
        'if (absl::IsDeadlineExceeded(status)) abandoned_ = true;',
        '',
        'server_unit_test', ('CallLifetimeTest.WhatIsOutOfTimeIsNotEncoded',)),
    Behaviour(
        'what made room for a newer image is not kept',
        'server/calls/image_cache.cc',
        'while (bytes_ > max_bytes_ - bytes) {',
        'while (bytes_ > 2 * max_bytes_ - bytes) {',
        'server_unit_test',
        ('ImageCacheTest.WhatWasNotAskedForForTheLongestTimeGoesFirst',
         'ImageCachePropertyTest.InAnyOrderOfEventsEverybodyEndsOnceWithItsBytes')),
    Behaviour(
        'an image that is asked for again is kept for longer',
        'server/calls/image_cache.cc',
        'kept_.splice(kept_.begin(), kept_, kept->second);',
        '',
        'server_unit_test', ('ImageCacheTest.WhatWasNotAskedForForTheLongestTimeGoesFirst',)),
    Behaviour(
        'who waits for an image that nobody makes takes over',
        'server/calls/image_cache.cc',
        'asker->OnTakeOver(at);',
        'static_cast<void>(at);',
        'server_unit_test',
        ('ImageCacheTest.TheMostUrgentOfThoseWhoWaitTakesOver',
         'ImageCachePropertyTest.InAnyOrderOfEventsEverybodyEndsOnceWithItsBytes')),
    Behaviour(
        'the most urgent of those who wait takes over',
        'server/calls/image_cache.cc',
        'std::stable_sort(given_up->waiting.begin(), given_up->waiting.end(),',
        'std::stable_sort(given_up->waiting.end(), given_up->waiting.end(),',
        'server_unit_test', ('ImageCacheTest.TheMostUrgentOfThoseWhoWaitTakesOver',)),
    Behaviour(
        'nobody waits for what may come after its deadline',
        'server/calls/image_cache.cc',
        'maker.deadline > asker.deadline + kSameDeadline',
        'kSameDeadline < absl::ZeroDuration()',
        'server_unit_test', ('MayJoinTest.NobodyWaitsForWhatMayComeAfterItsDeadline',)),
    Behaviour(
        'the fit of a guide decides about the bytes',
        'server/calls/image_key.cc',
        'static_cast<int>(guide->fit)',
        '0',
        'server_unit_test', ('ImageKeysTest.ImagesThatMayDifferHaveDifferentKeys',)),
    Behaviour(
        'who waits for an image of another call ends with its deadline',
        'server/calls/call_lifetime_cache.cc',
        'if (self != nullptr) self->OnDeadline();',
        'if (self != nullptr) static_cast<void>(0);',
        'server_unit_test', ('CallLifetimeCacheTest.WhoWaitsEndsWithItsDeadline',)),
    Behaviour(
        'a guide is held no longer than it is needed',
        'server/calls/call_lifetime_cache.cc',
        'guide_.reset();',
        '',
        'server_unit_test', ('CallLifetimeCacheTest.AGuideIsHeldNoLongerThanItIsNeeded',)),
    Behaviour(
        'one caller leaves as much room for guides as it takes',
        'server/calls/guide_queue.cc',
        'return own.images + wanted.images <=',
        'return wanted.images + 0 * own.images <=',
        'server_unit_test',
        ('GuideQueueTest.ACallerAloneGetsHalfOfTheRoomAndMoreLeaveSomeForOthers',)),
    Behaviour(
        'guides of callers take turns',
        'server/calls/guide_queue.cc',
        'if (!waiting.empty()) turns_.push_back(std::move(name));',
        'if (!waiting.empty()) turns_.push_front(std::move(name));',
        'server_unit_test', ('GuideQueueTest.CallersTakeTurnsAndEachKeepsItsOrder',)),
    Behaviour(
        'callers without guides are forgotten',
        'server/calls/guide_queue.cc',
        'if (caller->second.booked.images == 0) callers_.erase(caller);',
        '',
        'server_unit_test', ('GuideQueueTest.RoomThatIsGivenBackIsFreeAgain',)),
    Behaviour(
        'an image overtakes a preview of it that is encoded already',
        'server/calls/stream_queue.cc',
        '''  added_images_.insert(index);
  DropEncoded(index);
''',
        '''  added_images_.insert(index);
''',
        'server_unit_test', ('StreamQueueTest.AnImageIsNeverFollowedByAPreviewOfIt',)),
    Behaviour(
        'a call that was refused ends though images for it had come',
        'server/calls/stream_queue.cc',
        'if (!accepted_.has_value()) images_.clear();',
        '',
        'server_unit_test', ('StreamQueueTest.ARefusedCallIsDrainedWhateverImagesCameBefore',)),
    Behaviour(
        'who reads slowly holds no room at the encoders',
        'server/calls/call_lifetime.cc',
        'holdings_.encoder_room.reset();',
        '',
        'server_unit_test', ('CallLifetimeTest.TheEncodersRoomIsFreeOnceNothingWaitsForThem',)),
    Behaviour(
        'a timeout of centuries is none',
        'server/calls/request_conversion.cc',
        'return left > kLongestTimeout ? absl::InfiniteFuture() : now + left;',
        'return now + left;',
        'server_unit_test', ('RequestConversionTest.ReadsADeadlineThatIsFarAwayAsNone',)),
    Behaviour(
        'a guide that waits is withdrawn with its call',
        'server/calls/generation_call.cc',
        'if (guide_.has_value() && parts_.guide_decoder->Withdraw(*guide_)) {',
        'if (guide_.has_value() && false) {',
        'server_test', ('GenerationCallTest.AGuideWhoseCallerLeavesIsGoneBeforeItsTurn',)),
]

CONNECTIONS = [
    Behaviour(
        'a connection that takes no bytes is cut',
        'server/connections/write_watch.cc',
        'parts_.cut(peer_);',
        '',
        'server_test', ('WriteWatchTest.CutsAConnectionThatTakesNoBytes',)),
    Behaviour(
        'who holds up its hand-over is cut',
        'server/connections/connection_acceptor.cc',
        'if (IsHeldUp(now)) {',
        'if (IsHeldUp(now) && false) {',
        'server_test', ('HeldUpAcceptorTest.CutsWhoHoldsUpItsHandOver',)),
    Behaviour(
        'a flood of connections does not make the process look dead',
        'server/connections/connection_acceptor.cc',
        'absl::IsDeadlineExceeded(status) && hand_overs_cut_ > cut_before',
        'absl::IsDeadlineExceeded(status) && hand_overs_cut_ < cut_before',
        'server_test', ('HeldUpAcceptorTest.WhoHoldsUpHandOversDoesNotMakeTheProbeFail',)),
    Behaviour(
        'the last 16 descriptors are not for connections',
        'server/connections/connection_acceptor.cc',
        '(!is_probe && IsAmongTheLast(connection.duplicate))) {',
        '(!is_probe && IsAmongTheLast(0))) {',
        'server_test', ('ConnectionAcceptorTest.LeavesTheLastDescriptorsToOthers',)),
    Behaviour(
        "the server's own probe takes no caller's place",
        'server/connections/connection_acceptor.cc',
        'const bool is_probe = probe_ports_.contains(connection.peer.port) &&',
        'const bool is_probe = probe_ports_.contains(-1) &&',
        'server_test', ('ConnectionAcceptorTest.AProbeIsTakenAboveTheCapsAndNotCounted',)),
    Behaviour(
        'connections that the kernel took before the end are served',
        'server/connections/connection_acceptor.cc',
        'for (const int listener : listeners_) TakeBacklog(listener);',
        '',
        'server_test', ('ConnectionAcceptorTest.AStopTakesAllThatWaits',)),
    Behaviour(
        'a group whose requests come in leaves as much room as it takes',
        'server/connections/request_gate.cc',
        'return own < limit - taken;',
        'return own * 0 < limit - taken;',
        'server_unit_test', ('RequestGateTest.AGroupGetsHalfOfWhatIsLeftAndOthersFindAPlace',)),
    Behaviour(
        'the group that receives least has the next turn',
        'server/connections/request_gate.cc',
        '''          std::pair(group.arriving, group.waiting.front()) <
              std::pair(next->second.arriving, next->second.waiting.front())) {''',
        '''          group.waiting.front() < next->second.waiting.front()) {''',
        'server_unit_test', ('RequestGateTest.WhicheverGroupReceivesLeastIsNext',)),
    Behaviour(
        'a request that is being received keeps its place until it leaves',
        'server/connections/request_gate.cc',
        'arriving = place.arriving;',
        'arriving = false;',
        'server_unit_test', ('RequestGateTest.GivesUpAgainWhoeverStays',)),
    Behaviour(
        'a low limit of descriptors leaves one peer half of the connections',
        'server/connections/connection_budget.cc',
        'lowered.per_peer = std::min(wanted.per_peer, std::max(1, lowered.total / 2));',
        'lowered.per_peer = wanted.per_peer;',
        'server_unit_test', ('ConnectionBudgetTest.KeepsWhatDescriptorsAllow',)),
    Behaviour(
        'a drain waits until no call came for a while',
        'server/connections/drain_policy.cc',
        'std::max(told, view.last_call_ended);',
        'told;',
        'server_unit_test', ('DrainPolicyTest.CountsTheQuietTimeFromTheLastCall',)),
    Behaviour(
        'callers that have nothing booked are forgotten',
        'server/connections/byte_ledger.cc',
        'if (found->second == 0) reserved_by_caller_.erase(found);',
        '',
        'server_unit_test', ('ByteLedgerTest.TakesUpToTheLastByteAndGivesBackWhatIsDestroyed',)),
]

MODELS = [
    Behaviour(
        'models that change often do not keep others from being told',
        'server/models/watch_queue.cc',
        'auto next = to_tell_.upper_bound(last_);',
        'auto next = to_tell_.begin();',
        'server_unit_test', ('WatchQueueTest.AModelThatAlwaysChangesKeepsNoOtherWaiting',)),
]

TELEMETRY = [
    Behaviour(
        'steps of a model with many share labels',
        'server/telemetry/step_metrics.cc',
        ': static_cast<int>(std::bit_floor(static_cast<unsigned>(step)));',
        ': step;',
        'server_unit_test', ('MetricsTest.StepsOfAModelWithManyShareLabels',)),
    Behaviour(
        'series of old versions are dropped',
        'server/telemetry/step_metrics.cc',
        '''    DropSeries(versions.front());
''',
        '',
        'server_unit_test', ('MetricsTest.DropsTheSeriesOfTheVersionUsedLeastRecently',)),
    Behaviour(
        'a model that is gone has no live version in the metrics',
        'server/telemetry/reload_metrics.cc',
        '  info_.Remove(std::exchange(series.info, nullptr));\n',
        '',
        'server_unit_test', ('MetricsTest.ForgetsTheLiveVersionOfAModelThatIsGone',)),
    Behaviour(
        'a version that fails the same way again is not logged again',
        'server/telemetry/logging_observer.cc',
        'if (!is_new) return;',
        'if (!is_new && failure.empty()) return;',
        'server_unit_test', ('LoggingObserverTest.SaysOnceThatAVersionWaits',)),
    Behaviour(
        'a device that stays ill is logged once',
        'server/telemetry/logging_observer.cc',
        'changed = is_new || entry->second != health.ok();',
        'changed = is_new || true;',
        'server_unit_test', ('LoggingObserverTest.TellsOnceThatADeviceFailsAndThatItIsBack',)),
    Behaviour(
        'the reason why a server is not ready tells devices from models',
        'server/telemetry/health_reporter.cc',
        'return absl::UnavailableError("no device works");',
        '',
        'server_test', ('ServerTest.HealthFollowsTheEngine',)),
    Behaviour(
        'long texts of callers are cut in the access log',
        'server/telemetry/access_log.cc',
        'const std::string quoted = QuoteForJson(value.substr(0, kMaxTextSize));',
        'const std::string quoted = QuoteForJson(value);',
        'server_unit_test', ('AccessLogTest.CutsNamesAndMessages',)),
    Behaviour(
        'who watches health is told each state once',
        'server/telemetry/health_service.cc',
        'if (told_ == status) return;',
        '',
        'server_test', ('HealthServiceTest.AWatchIsToldOfChangesAlone',)),
]

BEHAVIOURS = ACCESS + CALLS + CONNECTIONS + MODELS + TELEMETRY
