using System.Text.Json;
using Skep.Resources;

namespace Skep.Tests.Resources;

public class ResourceSchemaTests
{
    [Fact]
    public void The_published_schema_is_the_one_of_the_code()
    {
        if (Environment.GetEnvironmentVariable("SKEP_WRITE_GOLDEN") == "1")
        {
            File.WriteAllText(Path.Combine(SourceDirectory(), "../../../deploy/skep.schema.json"), ResourceSchema.Json);
        }
        else
        {
            Assert.Equal(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Resources", "skep.schema.json")), ResourceSchema.Json);
        }
    }

    [Fact]
    public void Every_kind_of_the_model_has_a_schema_that_takes_no_unknown_fields()
    {
        using var schema = JsonDocument.Parse(ResourceSchema.Json);
        var kinds = schema.RootElement.GetProperty("oneOf").EnumerateArray().ToArray();
        var names = kinds.Select(k => k.GetProperty("properties").GetProperty("kind").GetProperty("const").GetString());
        Assert.Equal(typeof(Resource).Assembly.GetTypes().Where(t => t.BaseType == typeof(Resource)).Select(t => t.Name).Order(), names.Order());
        Assert.All(kinds, k => Assert.False(k.GetProperty("additionalProperties").GetBoolean()));
        Assert.All(kinds, k => Assert.False(k.GetProperty("properties").GetProperty("spec").GetProperty("additionalProperties").GetBoolean()));
    }

    private static string SourceDirectory([System.Runtime.CompilerServices.CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
