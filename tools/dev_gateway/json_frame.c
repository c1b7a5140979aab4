#include "json_frame.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "otoroshictl/codec/base64.h"

static bool only_white_space(const char *text, const char *end)
{
    for (; text < end; text++) {
        if (strchr(" \t\r\n", *text) == NULL || *text == '\0')
            return false;
    }
    return true;
}

static cJSON *parse_object(const char *text, size_t size)
{
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, size, &end, 0);

    if (root != NULL && cJSON_IsObject(root) && only_white_space(end, text + size))
        return root;
    cJSON_Delete(root);
    return NULL;
}

static bool is_int32(const cJSON *number)
{
    return cJSON_IsNumber(number) && number->valuedouble >= INT32_MIN &&
           number->valuedouble <= INT32_MAX && number->valuedouble == (double)number->valueint;
}

static bool read_label(struct label *label, const cJSON *root)
{
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(root, "address");
    const cJSON *port = cJSON_GetObjectItemCaseSensitive(root, "port");

    if (!cJSON_IsString(address) || !is_int32(port))
        return false;
    char *address_json = cJSON_PrintUnformatted(address);
    if (address_json == NULL)
        return false;
    const bool fits = label_set(label, address_json, (int32_t)port->valueint);
    cJSON_free(address_json);
    return fits;
}

static bool read_payload(uint8_t *payload, size_t *payload_size, const cJSON *root)
{
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");

    *payload_size = 0;
    if (!cJSON_IsString(data) || data->valuestring[0] == '\0')
        return true;
    return base64_decode(payload, payload_size, data->valuestring, strlen(data->valuestring));
}

bool json_frame_read(struct label *label, uint8_t *payload, size_t *payload_size, const char *text,
                     size_t size)
{
    cJSON *root = parse_object(text, size);

    if (root == NULL)
        return false;
    const bool good = read_label(label, root) && read_payload(payload, payload_size, root);
    cJSON_Delete(root);
    return good;
}

static const char reply_end[] = {'"', '}'};

size_t json_frame_size(const struct label *label, size_t payload_size)
{
    return label->size + base64_encoded_size(payload_size) + sizeof(reply_end);
}

void json_frame_write(uint8_t *out, const struct label *label, const uint8_t *payload,
                      size_t payload_size)
{
    memcpy(out, label->text, label->size);
    out += label->size;
    out += base64_encode((char *)out, payload, payload_size);
    memcpy(out, reply_end, sizeof(reply_end));
}
