using System.Text.Json.Nodes;

namespace Skep.Resources.Reading;

/// <summary>A field of an object.</summary>
internal sealed record Field(string Name, Shape Shape, string Description, bool Required = false);

/// <summary>An object with known fields; others are refused with the nearest name.</summary>
internal sealed class ObjectShape(string description, params Field[] fields) : Shape
{
    public override object? Read(Node node, string path, ProblemList problems)
    {
        if (node.Kind != NodeKind.Map)
        {
            problems.Error(node.Source, "wrong-type", $"{Shown(path)} is {node.Describe()}", $"write an object with the fields {Names()}");
            return null;
        }

        var values = new ObjectValue(node);
        var complete = true;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, value) in node.Fields)
        {
            complete &= ReadField(key, value, path, seen, values, problems);
        }

        foreach (var field in fields.Where(f => f.Required && !seen.Contains(f.Name)))
        {
            problems.Error(node.Source, "missing-field", $"{Shown(path)} has no '{field.Name}'", $"add it: {field.Description}");
            complete = false;
        }

        return complete ? values : null;
    }

    public override JsonObject Schema()
    {
        var properties = new JsonObject();
        foreach (var field in fields)
        {
            var schema = field.Shape.Schema();
            schema["description"] = field.Description;
            properties[field.Name] = schema;
        }

        return new JsonObject
        {
            ["type"] = "object",
            ["description"] = description,
            ["properties"] = properties,
            ["required"] = new JsonArray([.. fields.Where(f => f.Required).Select(f => (JsonNode)f.Name)]),
            ["additionalProperties"] = false,
        };
    }

    private bool ReadField(Node key, Node value, string path, HashSet<string> seen, ObjectValue values, ProblemList problems)
    {
        var field = key.Kind == NodeKind.Scalar ? Array.Find(fields, f => f.Name == key.Text) : null;
        if (field is null)
        {
            var name = key.Kind == NodeKind.Scalar ? key.Text : "";
            problems.Error(
                key.Source, "unknown-field", $"{Shown(path)} has no field {key.Describe()}", NearestName.Advice(name, [.. fields.Select(f => f.Name)]));
            return false;
        }

        if (!seen.Add(field.Name))
        {
            problems.Error(key.Source, "duplicate-field", $"'{field.Name}' stands twice in {Shown(path)}", "remove one of them");
            return false;
        }

        var read = field.Shape.Read(value, path.Length == 0 ? field.Name : $"{path}.{field.Name}", problems);
        if (read is null)
        {
            return false;
        }

        values.Set(field.Name, read, value);
        return true;
    }

    private static string Shown(string path) => path.Length == 0 ? "the document" : path;

    private string Names() => string.Join(", ", fields.Select(f => f.Name));
}

/// <summary>The fields of an object that was read without problems.</summary>
internal sealed class ObjectValue(Node node)
{
    private readonly Dictionary<string, (object Value, Node Node)> _values = new(StringComparer.Ordinal);

    public ResourceSource Source => node.Source;

    public void Set(string name, object value, Node from) => _values[name] = (value, from);

    public bool Has(string name) => _values.ContainsKey(name);

    /// <summary>A field that is required by the shape.</summary>
    public T Get<T>(string name) => (T)_values[name].Value;

    /// <summary>A field or its default.</summary>
    public T Get<T>(string name, T otherwise) => _values.TryGetValue(name, out var v) ? (T)v.Value : otherwise;

    /// <summary>The items of a list field with their places; empty when absent.</summary>
    public IEnumerable<(T Value, ResourceSource Source)> List<T>(string name) => _values.TryGetValue(name, out var v)
        ? ((List<object>)v.Value).Zip(v.Node.Items, (item, from) => ((T)item, from.Source))
        : [];

    public ResourceSource SourceOf(string name) => _values.TryGetValue(name, out var v) ? v.Node.Source : node.Source;
}
