using System.Text.Json.Serialization;

namespace Skep.Agent.Api;

/// <summary>JSON of the API, generated: no reflection at run time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    MaxDepth = 16)]
[JsonSerializable(typeof(StatusView))]
[JsonSerializable(typeof(ResourcesView))]
[JsonSerializable(typeof(FlowsView))]
[JsonSerializable(typeof(IReadOnlyList<DropView>))]
[JsonSerializable(typeof(IReadOnlyList<ServiceView>))]
[JsonSerializable(typeof(IReadOnlyList<BackendView>))]
[JsonSerializable(typeof(IReadOnlyList<DecisionView>))]
[JsonSerializable(typeof(ExplanationView))]
[JsonSerializable(typeof(TraceView))]
[JsonSerializable(typeof(IReadOnlyList<BlockView>))]
[JsonSerializable(typeof(IReadOnlyList<FeatureView>))]
[JsonSerializable(typeof(BlockView))]
[JsonSerializable(typeof(BlockRequest))]
[JsonSerializable(typeof(ApplyView))]
[JsonSerializable(typeof(IReadOnlyList<ProblemView>))]
[JsonSerializable(typeof(Microsoft.AspNetCore.Mvc.ProblemDetails))]
internal sealed partial class ApiJson : JsonSerializerContext;

/// <summary>The same records for readers, who must not fail over a field of a newer agent.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(StatusView))]
[JsonSerializable(typeof(ResourcesView))]
[JsonSerializable(typeof(FlowsView))]
[JsonSerializable(typeof(List<DropView>))]
[JsonSerializable(typeof(List<ServiceView>))]
[JsonSerializable(typeof(List<BackendView>))]
[JsonSerializable(typeof(List<DecisionView>))]
[JsonSerializable(typeof(ExplanationView))]
[JsonSerializable(typeof(TraceView))]
[JsonSerializable(typeof(List<BlockView>))]
[JsonSerializable(typeof(List<FeatureView>))]
[JsonSerializable(typeof(BlockView))]
[JsonSerializable(typeof(BlockRequest))]
[JsonSerializable(typeof(ApplyView))]
[JsonSerializable(typeof(ProblemDetailsView))]
internal sealed partial class ClientJson : JsonSerializerContext;
