using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skep.Resources.Reading;

namespace Skep.Resources;

/// <summary>The JSON Schema of resource files, for editors and for checks before <c>skep apply</c>.</summary>
public static class ResourceSchema
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The schema (draft 2020-12) of one document.</summary>
    public static string Json { get; } = Build().ToJsonString(s_indented) + "\n";

    private static JsonObject Build() => new()
    {
        ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
        ["$id"] = "https://skep.dev/schema/v1.json",
        ["title"] = "Skep resources, apiVersion skep.dev/v1",
        ["oneOf"] = new JsonArray([.. Kinds.All.Select(k => (JsonNode)k.Document.Schema())]),
    };
}
