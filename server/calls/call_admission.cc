#include "server/calls/call_admission.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {
namespace {

// The engine says "count" of what a protocol may have in another field.
absl::Status NamingField(const absl::Status& status,
                         absl::string_view count_field) {
  absl::string_view rest = status.message();
  if (!absl::IsInvalidArgument(status) || !absl::ConsumePrefix(&rest, "count"))
    return status;
  return absl::InvalidArgumentError(absl::StrCat(count_field, rest));
}

}  // namespace

absl::Status CallAdmission::Admit(Applicant applicant, SizeReply size_reply,
                                  Admission* admission) const {
  if (!applicant.request.ok()) return applicant.request.status();
  admission->request = *std::move(applicant.request);
  GenerationRequest& generation = admission->request.generation;
  generation.previews = applicant.previews;
  generation.caller = applicant.caller.name;
  generation.account = applicant.caller.account;

  const absl::StatusOr<ResolvedModel> model =
      parts_.engine->Resolve(generation.model, generation.version);
  if (!model.ok()) return model.status();
  admission->provenance.emplace(model->identity, generation.guide.has_value()
                                                     ? generation.guide->steps
                                                     : model->evaluations);
  admission->without_work.identity = model->identity;
  admission->without_work.shape = model->shape;
  admission->without_work.num_timesteps = model->num_timesteps;
  admission->without_work.evaluations = model->evaluations;

  absl::Status status = TakeQuota(applicant.caller, admission);
  if (status.ok()) {
    status = BookReply(applicant, model->shape, size_reply, admission);
  }
  if (status.ok()) status = BookEncoder(admission);
  if (status.ok()) status = BookDecoder(applicant.caller.account, admission);
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Reservation>> place =
      parts_.engine->Reserve(*model, generation);
  if (!place.ok()) {
    return NamingField(place.status(), admission->request.count_field);
  }
  admission->place = *std::move(place);
  return absl::OkStatus();
}

absl::Status CallAdmission::TakeQuota(const Caller& caller,
                                      Admission* admission) const {
  const Tenant* const tenant = caller.tenant.get();
  if (tenant == nullptr) return absl::OkStatus();
  GenerationRequest& generation = admission->request.generation;
  generation.caller_weight = tenant->weight;
  TenantQuotas::Refused refused;
  admission->holdings.quota = parts_.quotas->Admit(
      *tenant, generation.count, admission->request.count_field,
      RealMonotonicClock()->Now(), &refused);
  if (admission->holdings.quota.has_value()) return absl::OkStatus();
  parts_.access_metrics->OnQuotaRefusal(refused.reason);
  return refused.status;
}

absl::Status CallAdmission::BookReply(const Applicant& applicant,
                                      const ImageShape& shape,
                                      SizeReply size_reply,
                                      Admission* admission) const {
  const ConvertedRequest& request = admission->request;
  const absl::StatusOr<ReplySize> size =
      size_reply(request, shape, applicant.request_bytes);
  if (!size.ok()) return size.status();
  ByteLedger& ledger = *parts_.ledger;
  if (absl::Status status = CheckFits(
          request, shape, *size,
          std::min(ledger.limits().total, ledger.limits().per_caller));
      !status.ok()) {
    return status;
  }
  admission->reply_size = *size;
  const int64_t bytes = size->Of(request.generation.count);
  auto reserved = ledger.Reserve(applicant.caller.account, bytes);
  if (const auto* const refusal = std::get_if<ByteLedger::Refusal>(&reserved);
      refusal != nullptr) {
    parts_.metrics->OnReplyBytesFull(*refusal);
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for a reply of up to ", bytes, " bytes: ",
        *refusal == ByteLedger::Refusal::kCaller ? "this caller has"
                                                 : "callers have",
        " too much that is unfinished or not read yet"));
  }
  admission->holdings.reply_bytes =
      std::get<ByteLedger::Reservation>(std::move(reserved));
  return absl::OkStatus();
}

absl::Status CallAdmission::BookEncoder(Admission* admission) const {
  const uint32_t count = admission->request.generation.count;
  admission->holdings.encoder_room =
      parts_.encode_pool->Reserve(static_cast<int>(count));
  if (admission->holdings.encoder_room.has_value()) return absl::OkStatus();
  parts_.metrics->OnEncoderFull();
  return absl::ResourceExhaustedError(
      absl::StrCat("no room for ", count, " more images to be encoded"));
}

absl::Status CallAdmission::BookDecoder(const std::string& account,
                                        Admission* admission) const {
  const GenerationRequest& generation = admission->request.generation;
  if (!generation.guide.has_value()) return absl::OkStatus();
  const auto bytes = static_cast<int64_t>(generation.guide->picture.numel());
  admission->guide_room = parts_.guide_decoder->Reserve(
      account, {.images = generation.count, .bytes = bytes});
  if (admission->guide_room.has_value()) return absl::OkStatus();
  parts_.metrics->OnGuidesFull();
  return absl::ResourceExhaustedError(absl::StrCat(
      "no room for one more guide to be decoded, which unpacks to ", bytes,
      " bytes: too many wait, of this caller or of all"));
}

}  // namespace ddgan
